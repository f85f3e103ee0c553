"""``coprop doctor``: whether everything is there, and how to get what is not."""

from __future__ import annotations

import json
import platform
import re
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import typer

from coprop.cli.common import FAILED, JsonOption, available_devices
from coprop.utils.brief import text_of

PACKAGE = Path(__file__).parents[1]
NEEDED_FILES = (
    "weights/keyframe_segmenter/config.json",
    "weights/keyframe_segmenter/model.safetensors",
    "weights/propagator/config.json",
    "weights/propagator/model.safetensors",
    "weights/yamnet/model.safetensors",
    "weights/imagenet/model.safetensors",
    "weights/deeplab/model.safetensors",
    "weights/u2net/model.safetensors",
    "control_points/novelty.safetensors",
    "keyframes/groups.json",
)
MODULES = {  # distribution -> the module that must import
    "numpy": "numpy",
    "torch": "torch",
    "timm": "timm",
    "einops": "einops",
    "safetensors": "safetensors",
    "huggingface_hub": "huggingface_hub",
    "av": "av",
    "pillow": "PIL",
    "matplotlib": "matplotlib",
}
_OF_EXTRA = re.compile(r"""(?P<package>[\w.-]+).*extra == ['"](?P<extra>[\w-]+)['"]""")
_OF_A_CHECKOUT = ("dev", "docs")  # extras that nobody who uses coprop needs
_REINSTALL = "pip install --force-reinstall --no-deps coprop (from a checkout: with . for coprop)"


@dataclass(frozen=True)
class Problem:
    """Something that keeps coprop from working, and how to mend it."""

    problem: str
    remedy: str


def doctor(as_json: JsonOption = False) -> None:
    """What is installed, and what is missing and how to get it.

    Looks at the versions, the devices, the video encoder and the files of the package, whose
    checksums are compared with those noted when it was installed. The exit code is 1 if something
    needed is missing.
    """
    report = examine()
    typer.echo(json.dumps(report, indent=2) if as_json else _text(report))
    if not report["ok"]:
        raise typer.Exit(FAILED)


def examine() -> dict[str, Any]:
    """Everything that ``coprop doctor`` tells, as JSON can hold it."""
    versions, problems = _versions()
    encoder, encoder_problems = _video_encoder()
    files = [_file(name) for name in NEEDED_FILES]
    problems += encoder_problems
    problems += [
        Problem(f"{file['file']} is {file['state']}", _REINSTALL)
        for file in files
        if file["state"] in ("missing", "damaged", "changed")
    ]
    return {
        "ok": not problems,
        "versions": versions,
        "devices": available_devices(),
        "video_encoder": encoder,
        "extras": _extras(),
        "files": files,
        "problems": [asdict(problem) for problem in problems],
    }


def _versions() -> tuple[dict[str, str], list[Problem]]:
    from coprop import __version__

    versions = {"coprop": __version__, "python": platform.python_version()}
    problems = []
    for distribution, module in MODULES.items():
        try:
            import_module(module)
            versions[distribution] = metadata.version(distribution)
        except Exception as error:  # whatever a broken installation raises
            reason = f"{distribution} cannot be imported: {type(error).__name__}: {error}"
            problems.append(Problem(reason, f"pip install --upgrade {distribution}"))
    return {**versions, **_ffmpeg_versions()}, problems


def _extras() -> dict[str, list[str]]:
    """What each of coprop's extras would install that is not there."""
    try:
        requirements = metadata.requires("coprop") or []
    except metadata.PackageNotFoundError:  # only a folder on the path
        return {}
    extras: dict[str, list[str]] = {}
    for found in filter(None, map(_OF_EXTRA.match, requirements)):
        package, extra = found["package"], found["extra"]
        # coprop[...] stands for other extras
        if extra not in _OF_A_CHECKOUT and package != "coprop":
            missing = extras.setdefault(extra, [])
            missing += [] if _is_installed(package) else [package]
    return extras


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _ffmpeg_versions() -> dict[str, str]:
    try:
        import av
    except Exception:  # told of by _versions
        return {}
    libraries = ("libavcodec", "libavformat", "libswscale", "libswresample")
    numbers = {name: av.library_versions[name] for name in libraries}
    return {name: ".".join(map(str, number)) for name, number in numbers.items()}


def _video_encoder() -> tuple[str | None, list[Problem]]:
    """The encoder that overlays are written with: H.264, or else MPEG-4 Part 2."""
    try:
        import av

        from coprop.media.overlay import ENCODERS
    except Exception:  # told of by _versions
        return None, []
    for name in ENCODERS:
        if name in av.codecs_available:
            return name, []
    wanted = " or ".join(ENCODERS)
    return None, [
        Problem(f"PyAV has no video encoder {wanted}", "pip install --force-reinstall av")
    ]


def _file(name: str) -> dict[str, Any]:
    from coprop.data.checksums import digest_of

    path = PACKAGE / name
    if not path.is_file():
        return {"file": name, "bytes": 0, "sha256": None, "state": "missing"}
    digest, noted = digest_of(path), _noted_checksum(name)
    if not _can_be_read(path):
        state = "damaged"
    elif noted is None:
        state = "present"
    else:
        state = "as installed" if noted == digest else "changed"
    return {"file": name, "bytes": path.stat().st_size, "sha256": digest, "state": state}


def _noted_checksum(name: str) -> str | None:
    """The SHA-256 that pip noted for a file, as hex; none for editable installs."""
    import base64

    try:
        files = metadata.files("coprop") or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.as_posix() == f"coprop/{name}" and file.hash is not None:
            return base64.urlsafe_b64decode(file.hash.value + "=").hex()
    return None


def _can_be_read(path: Path) -> bool:
    from safetensors import safe_open

    from coprop.storage.files import read_json

    try:
        if path.suffix == ".json":
            return read_json(path) is not None
        with safe_open(path, framework="numpy") as tensors:
            return bool(tensors.keys())
    except Exception:  # each format has its own
        return False


def _text(report: dict[str, Any]) -> str:
    lines = [f"{name:<16} {version}" for name, version in report["versions"].items()]
    lines.append(f"{'devices':<16} {', '.join(report['devices'])}")
    encoder = report["video_encoder"] or "none"
    note = "" if encoder in ("libx264", "none") else " (browsers do not play it; libx264 is absent)"
    lines.append(f"{'video encoder':<16} {encoder}{note}")
    for extra, missing in report["extras"].items():
        told = f'needs {", ".join(missing)}: pip install "coprop[{extra}]"' if missing else "there"
        lines.append(f"{f'[{extra}]':<16} {told}")
    lines.append("")
    for file in report["files"]:
        checksum = (file["sha256"] or "")[:12]
        lines.append(f"{file['file']:<46} {file['bytes']:>10,} B  {checksum:<12}  {file['state']}")
    lines.append("")
    if report["ok"]:
        return text_of([*lines, "Everything needed is there."])
    for problem in report["problems"]:
        lines += [f"Problem: {problem['problem']}", f"  mend it with: {problem['remedy']}"]
    return text_of(lines)
