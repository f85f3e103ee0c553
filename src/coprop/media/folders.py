"""Which files of a folder are videos or sounds."""

from __future__ import annotations

from pathlib import Path

from coprop.storage.files import visible

_FILMS = """
    264 265 266 3g2 3gp 3gpp amv asf avc avi avs2 avs3 bik cavs dav dif divx dv dvr-ms evo f4v
    flv gxf h261 h263 h264 h265 h266 hevc imx ism ismv ivf ivr k3g kux lrv m1v m2p m2t m2ts
    m2v m4v mj2 mjpeg mjpg mk3d mkv mod moov mov mp4 mp4v mpe mpeg mpeg1 mpeg2 mpeg4 mpg mpv
    mqv mts mxf mxg nsv nut obu ogm ogv ogx psp pva qt rm rmvb roq skm smk swf tod tp trp
    ts ty vc1 viv vivo vob vro vvc webm wm wmv wtv xmv y4m
"""
_SOUNDS = """
    669 aa aa3 aac aax ac3 ac4 adts adx aif aifc aiff alac amr ape apl aptx au awb bwf caf dff
    dsf dss dts dtshd eac3 ec3 f4a flac g722 gsm iamf isma it lc3 loas m2a m4a m4b m4r mka mlp
    mp1 mp2 mp3 mpa mpc mpp msbc nist ofr oga ogg oma omg opus osq qcp qoa ra rf64 s3m sbc shn
    snd spx tak thd tta voc vqf w64 wav wave weba wma wsd wv xa xm
"""
VIDEO = frozenset(f".{name}" for name in _FILMS.split())
SOUND = frozenset(f".{name}" for name in _SOUNDS.split())
"""Suffixes of what FFmpeg reads and what is a film or a sound wherever it is met."""

_ALSO_CODE = frozenset({".ts", ".mts", ".mod"})  # TypeScript, modules of Go
_HEAD = 376  # bytes, two packets of a transport stream


def media_in(folder: Path) -> list[Path]:
    """The videos and sounds in a folder and in those below it, told by their suffixes, sorted.

    Hidden files and folders are left out, also what file managers put beside files.

    Raises:
        OSError: it cannot be read.
    """
    return [path for path in visible(folder) if _is_media(path)]


def is_video(path: Path) -> bool:
    """Whether a file is a film, told by its suffix."""
    return _has_suffix(path, VIDEO)


def _is_media(path: Path) -> bool:
    return _has_suffix(path, VIDEO | SOUND)


def _has_suffix(path: Path, suffixes: frozenset[str]) -> bool:
    suffix = path.suffix.lower()
    return suffix in suffixes and not (suffix in _ALSO_CODE and _is_text(path))


def _is_text(path: Path) -> bool:
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False  # reported when it is read
    return bool(head) and all(byte >= 32 or byte in b"\t\n\f\r" for byte in head)
