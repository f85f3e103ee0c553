"""What parts are called, and what is said of names that mean nothing or something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coprop.assembly.families import FAMILIES, family_for, read_config
from coprop.assembly.known import NAMES, hub_ids, listed_models
from coprop.assembly.names import SLOTS, PartName, Slot, part_name
from coprop.assembly.parts import load_part
from coprop.errors import CheckpointError, CoPropError


@pytest.mark.parametrize(
    ("slot", "name", "kind", "places"),
    [
        ("detector", "novelty", "novelty", ()),
        ("detector", "events", "events", ()),
        ("detector", "events:facebook/pe", "events", ("facebook/pe",)),
        ("detector", "facebook/pe", "model", ("facebook/pe",)),
        ("detector", "rcpg:http://here:8000/v1", "rcpg", ("http://here:8000/v1",)),
        ("segmenter", "text", "text", ()),
        ("segmenter", "text:a/b+c/d", "text", ("a/b", "c/d")),
        ("segmenter", "text:a/b", "text", ("a/b",)),
        ("propagator", "default", "default", ()),
        ("propagator", "a.b/c-d_e", "model", ("a.b/c-d_e",)),
    ],
)
def test_names(slot: Slot, name: str, kind: str, places: tuple[str, ...]) -> None:
    assert part_name(slot, name) == PartName(slot, kind, places)


def test_folders_and_files_are_names(tmp_path: Path) -> None:
    folder = tmp_path / "a+b:c"
    other = tmp_path / "d"
    folder.mkdir(), other.mkdir()
    for name in (folder, str(folder)):
        assert part_name("propagator", name).places == (str(folder),)
    both = part_name("segmenter", f"text:{folder}+{other}")
    assert both.places == (str(folder), str(other))
    (tmp_path / "aot.pth").write_bytes(b"")
    assert part_name("propagator", f"aot:{tmp_path / 'aot.pth'}").kind == "aot"


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize(
    "name", ["", "loud", "nothing/at/all", "text:", "events:", "a b/c", "x" * 5000, "a\0b", "/no"]
)
def test_what_nothing_is_called(slot: Slot, name: str) -> None:
    with pytest.raises(CheckpointError) as refused:
        part_name(slot, name)
    told = str(refused.value)
    assert "\n" not in told
    assert slot in told or "NUL" in told or "longer" in told


def test_what_is_no_name(tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match="must be a part of a pipeline or its name, got 3"):
        part_name("detector", 3)  # type: ignore[arg-type]
    with pytest.raises(CoPropError, match="slot must be one of"):
        part_name("hat", "novelty")  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=r"Did you mean novelty\?"):
        part_name("detector", "novlty")
    with pytest.raises(CheckpointError, match=r"there is no file .*aot:R50"):
        part_name("propagator", "aot:nothing.pth")
    with pytest.raises(CheckpointError, match="there is no segmenter"):
        part_name("segmenter", tmp_path / "nothing")


def model_folder(folder: Path, **config: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("slot", "kind", "said"),
    [
        ("detector", "sam2_video", "is a SAM 2, which is a propagator and no detector; give it as"),
        ("segmenter", "sam2_video", r"no segmenter by itself: name it text:IDEA-Research/.*\+"),
        ("segmenter", "owlv2", r"no segmenter by itself: name it text:.*\+facebook/sam2"),
        ("propagator", "owlv2", "is an OWLv2, which is part of a segmenter and no propagator"),
        ("propagator", "pe_audio", "is a PE-A-Frame, which is a detector and no propagator"),
        ("detector", "sam3_video", "which is a segmenter or propagator and no detector"),
        ("detector", "bert", "model type 'bert', which is none that coprop knows as a detector"),
    ],
)
def test_the_wrong_slot(tmp_path: Path, slot: Slot, kind: str, said: str) -> None:
    folder = model_folder(tmp_path / "model", model_type=kind)
    with pytest.raises(CheckpointError, match=said) as refused:
        load_part(slot, folder)
    assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"model_type": NaN}', "\udc80"])
def test_a_config_that_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, errors="surrogateescape")
    with pytest.raises(CheckpointError, match=r"config\.json of"):
        load_part("propagator", tmp_path)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        load_part("detector", tmp_path)
    config = model_folder(tmp_path / "odd", model_type=["a"])
    with pytest.raises(CheckpointError, match="none that coprop knows"):
        load_part("detector", config)
    with pytest.raises(CheckpointError, match="is a SAM 2, which is a propagator and no"):
        load_part("detector", f"events:{model_folder(tmp_path / 'm', model_type='sam2_video')}")
    hears = model_folder(tmp_path / "q", model_type="qwen2_audio")
    with pytest.raises(CheckpointError, match="is a language model that hears, so it is not"):
        load_part("detector", f"events:{hears}")


def test_the_words_and_numbers_that_parts_take() -> None:
    from coprop.assembly.loading import PartOptions

    assert load_part("detector", "cosine", PartOptions(threshold=0.3)).threshold == 0.3
    with pytest.raises(CoPropError, match="words are what a detector by words listens for"):
        load_part("detector", "novelty", PartOptions(words=("dog",)))
    with pytest.raises(CoPropError, match="takes no threshold"):
        load_part("detector", "rcpg:http://localhost:1/v1", PartOptions(threshold=0.3))
    with pytest.raises(CoPropError, match="asks a server, and no connection may be made"):
        load_part("detector", "rcpg:http://localhost:1/v1", PartOptions(local_files_only=True))
    events = load_part("detector", "events", PartOptions(words=("dog", "violin")))
    assert events.words == ("dog", "violin")


def test_every_name_that_is_listed_can_be_given() -> None:
    listed = listed_models()
    assert [(each.slot, each.name) for each in listed] == [
        (slot, name) for slot in SLOTS for name in NAMES[slot]
    ]
    for each in listed:
        named = part_name(each.slot, each.name)
        assert hub_ids(named) == each.models == named.places
        assert each.to_dict()["name"] == each.name
        assert each.is_on_disk or each.models


def test_families_fit_what_loads_them(tmp_path: Path) -> None:
    from coprop.assembly.loading import _LOADERS

    for kind, family in FAMILIES.items():
        folder = model_folder(tmp_path / kind, model_type=kind)
        for slot in family.slots:
            assert family_for(slot, folder, read_config(folder, kind), kind) is family
            assert (slot, family.loader) in _LOADERS
        assert family.slots or family.joined
