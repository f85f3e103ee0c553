"""Video and sound in, results out: every file that coprop reads or writes goes through here.

`reader` decodes pictures, `audio_file` sound, `frames` adapts arrays; `writer` writes a result
folder out of `overlay`, `timeline` and `palette`.
"""
