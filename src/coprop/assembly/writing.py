"""Pipelines written to a folder or pushed to the hub, with a card."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from coprop.assembly.families import CONFIG, PARTS, PIPELINE
from coprop.assembly.names import SLOTS, Slot
from coprop.assembly.saved import NAMES_SOUNDS, SETTINGS
from coprop.checkpoints.hub import is_hub_id
from coprop.checkpoints.weights import PretrainedModel
from coprop.errors import CoPropError
from coprop.keyframes.naming import AUDIOSET
from coprop.storage.files import output_errors
from coprop.storage.folders import working_folder
from coprop.utils.checks import shown

CARD = "README.md"
_TAGS = ("audio-visual-segmentation", "video-object-segmentation", "coprop-pipeline")
_TEXT = """
---
{{ card_data }}
---

# A pipeline of coprop

Masks of the objects that make sound, for every frame of a video. Made with coprop, an
implementation of [Co-Prop](https://arxiv.org/abs/2412.08161).

```python
from coprop import CoProp

pipeline = CoProp.from_pretrained("{{ name }}")
pipeline("clip.mp4").save("out")
```

`coprop run clip.mp4 --model {{ name }} --out out` is the same.

| part | here |
| --- | --- |
{{ parts }}

What is named is fetched from its own repository, under its own licence.
"""

Writer = Callable[[Path], None]
"""Writes a part into a folder."""


def write_pipeline(pipeline: Any, folder: Path, name: str, card: Mapping[str, Any]) -> None:
    """Writes a pipeline's parts, its config.json and a card, each whole, or none that loads.

    Nothing is written where a part cannot be. A README.md that is there is left as it is.

    Args:
        pipeline: the `CoProp` that is written.
        folder: where; made if needed.
        name: of the pipeline, for the card.
        card: for huggingface_hub's ``ModelCard.from_template``, in place of what it is given here.

    Raises:
        CoPropError: a part that cannot be saved.
        OutputError: the folder cannot be written.
    """
    entries = {slot: _entry(pipeline, slot) for slot in SLOTS}
    if pipeline.namer not in (AUDIOSET, None):
        raise CoPropError(
            f"the namer, {shown(pipeline.namer)}, cannot be saved; set pipeline.namer to None or "
            "to coprop.keyframes.naming.AUDIOSET, and give yours when the pipeline is loaded."
        )
    config: dict[str, Any] = {
        "model_type": PIPELINE,
        **{slot: entry for slot, (entry, _) in entries.items()},
        **{setting: getattr(pipeline, setting) for setting in SETTINGS},
        NAMES_SOUNDS: pipeline.namer is not None,
    }
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with working_folder(folder, "saving") as made:
            for slot, (_, write) in entries.items():
                if write is not None:
                    write(made / PARTS[slot])
            text = _card(pipeline, config, {"name": name, **card})
            (made / CARD).write_text(text, encoding="utf-8")
            (made / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
            _put(made, folder)


def _put(made: Path, folder: Path) -> None:
    """Moves what was made to its place.

    A part without its config.json is refused. So those of parts go first and come last, after that
    of the whole: what is between is never what was there before with some of what is new.
    """
    files = [path.relative_to(made) for path in sorted(made.rglob("*")) if path.is_file()]
    configs = [file for file in files if file.name == CONFIG]
    for file in set(configs) - {Path(CONFIG)}:
        (folder / file).unlink(missing_ok=True)
    for file in sorted(files, key=lambda file: (file in configs, len(file.parts))):
        target = folder / file
        if file == Path(CARD) and target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        (made / file).replace(target)


def _entry(pipeline: Any, slot: Slot) -> tuple[Any, Writer | None]:
    """What config.json says of a part, and what writes it, where it goes into a folder."""
    part, name = getattr(pipeline, slot), pipeline.name_of(slot)
    own = _of_detector(part) if slot == "detector" else {}
    if isinstance(part, PretrainedModel):
        return PARTS[slot], _writer(part)
    if name is not None and _travels(name):
        return {"name": name, **own} if own else name, None
    if slot == "detector" and (kind := _built_in_detector(part)):
        return {"name": kind, **own}, None
    writer = _writer(part)
    if writer is None:
        raise CoPropError(
            f"the {slot}, {shown(part)}, cannot be saved: it is no model with weights of its own, "
            f"and was not named as what is built in or on the hub, CoProp.assemble({slot}=NAME)."
        )
    entry = {"name": PARTS[slot], **own} if own else PARTS[slot]
    return entry, writer


def _travels(name: str) -> bool:
    """Whether a name means the same elsewhere: built in, or models on the hub."""
    places = name.partition(":")[2].split("+") if ":" in name else [name] if "/" in name else []
    return all(is_hub_id(place) and not Path(place).exists() for place in places)


def _of_detector(part: Any) -> dict[str, Any]:
    """The numbers of a detector, and its words where they are others than AudioSet's."""
    from coprop.control_points.events.detector import EventDetector
    from coprop.encoders.yamnet import class_names

    own = {name: getattr(part, name, None) for name in ("threshold", "min_gap_s")}
    own = {name: value for name, value in own.items() if isinstance(value, float)}
    if isinstance(part, EventDetector) and part.words != class_names():
        own["words"] = list(part.words)
    return own


def _built_in_detector(part: Any) -> str | None:
    """The name of a detector that needs nothing but the package; None of others."""
    from coprop.control_points.detector import ControlPointDetector
    from coprop.control_points.events.detector import EventDetector
    from coprop.control_points.events.yamnet import YamnetTagger
    from coprop.control_points.novelty import novelty_scores

    if isinstance(part, EventDetector):
        return "events" if isinstance(part.tagger, YamnetTagger) else None
    if not isinstance(part, ControlPointDetector):
        return None
    if getattr(part.score, "fine_score", None) is novelty_scores:
        return "novelty"
    features = getattr(part.score, "__self__", None)
    usual = ControlPointDetector.cosine().score.__self__  # type: ignore[attr-defined]
    return "cosine" if type(features) is type(usual) and vars(features) == vars(usual) else None


def _writer(part: Any) -> Writer | None:
    """What writes a model, of coprop or of transformers, the latter with its processor."""
    if isinstance(part, PretrainedModel):
        return partial(_write, (part,))
    holder = getattr(part, "tagger", part)
    model, processor = getattr(holder, "model", None), getattr(holder, "processor", None)
    # A propagator that is shown another part's pictures shares that one's weights too.
    shares = getattr(part, "_image_processor", None) is not None
    if shares or not hasattr(model, "save_pretrained"):
        return None
    return partial(_write, (model,) if processor is None else (model, processor))


def _write(models: tuple[Any, ...], folder: Path) -> None:
    for model in models:
        model.save_pretrained(folder)


def _card(pipeline: Any, config: dict[str, Any], values: dict[str, Any]) -> str:
    from huggingface_hub import ModelCard, ModelCardData

    others = [
        place
        for slot in SLOTS
        for place in _hub_ids(pipeline.name_of(slot))
        if config[slot] != PARTS[slot]
    ]
    copied = any(
        not isinstance(getattr(pipeline, slot), PretrainedModel) and _folder_of(config[slot])
        for slot in SLOTS
    )
    data = ModelCardData(
        license="other" if copied else "apache-2.0",  # copies keep the licence that they came with
        library_name="coprop",
        tags=list(_TAGS),
        base_model=others or None,
    )
    rows = [f"| {slot} | `{_told(config[slot])}` |" for slot in SLOTS]
    values = {"template_str": _TEXT, "parts": "\n".join(rows), **values}
    card = ModelCard.from_template(data, **values)
    return str(card)


def _hub_ids(name: str | None) -> list[str]:
    places = (name or "").rpartition(":")[2].split("+")
    return [place for place in places if is_hub_id(place)]


def _told(entry: Any) -> str:
    """Such as "keyframe_segmenter/" or "events, threshold 0.05"."""
    own = dict(entry) if isinstance(entry, dict) else {"name": entry}
    name = str(own.pop("name"))
    words = own.pop("words", None)
    told = [f"{name}/" if name in PARTS.values() else name]
    told += [f"{key} {value:g}" for key, value in own.items()]
    return ", ".join(told + ([f"words {', '.join(words)}"] if words else []))


def _folder_of(entry: Any) -> bool:
    name = entry["name"] if isinstance(entry, dict) else entry
    return name in PARTS.values()
