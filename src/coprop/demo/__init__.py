"""The page of ``coprop demo``: a video is dropped on it, and is marked by what sounds.

`choices` names the models, `run` works on one video, `visits` keeps the visitors' files, `timeline`
draws the result as HTML, `page` puts it all together with gradio, and `server` shows it. Nothing
outside the command line imports this.
"""
