"""Pipelines by name: assembled, saved to a folder, pushed to a hub and fetched from it."""

from __future__ import annotations

import inspect
import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_samples import FakeHub, cached, hub_error

from coprop import AudioInsertPropagator, ControlPointDetector, CoProp, KeyframeSegmenter
from coprop.assembly import loading
from coprop.assembly.known import listed_models
from coprop.control_points.events.detector import EventDetector
from coprop.errors import CheckpointError, CoPropError, OutputError
from coprop.keyframes.naming import AUDIOSET
from coprop.keyframes.segmenter import SegmenterConfig
from coprop.keyframes.text_guided import TextGuidedSegmenter
from coprop.propagation.sam2 import Sam2Propagator
from coprop.storage.locks import LOCK
from pipeline_samples import Recorder, changes_at, small_propagator
from stopped_saving import states_of
from tests.control_points.tiny_pe_audio import write_tiny_pe_audio
from tests.propagation.tiny_sam2 import tiny

WEIGHTS = {"keyframe_segmenter", "propagator"}


@pytest.fixture(scope="module")
def segmenter() -> KeyframeSegmenter:
    """One for all tests: making it takes longer than all else here."""
    return KeyframeSegmenter(SegmenterConfig("grounded", working_edge=64)).half()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, segmenter: KeyframeSegmenter) -> Path:
    """Small ones, in the form of the package's own."""
    folder = tmp_path_factory.mktemp("weights")
    segmenter.save_pretrained(folder / "keyframe_segmenter")
    small_propagator().save_pretrained(folder / "propagator")
    return folder


@pytest.fixture(autouse=True)
def _small_weights(
    monkeypatch: pytest.MonkeyPatch, weights: Path, segmenter: KeyframeSegmenter
) -> None:
    def loaded(place: Path) -> KeyframeSegmenter:
        assert Path(place, "model.safetensors").stat().st_size
        return segmenter

    monkeypatch.setattr(KeyframeSegmenter, "from_pretrained", loaded)
    monkeypatch.setattr(loading, "WEIGHTS", weights)
    monkeypatch.setattr("coprop.pipeline.WEIGHTS", weights)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeHub:
    return FakeHub(monkeypatch, tmp_path / "hub")


@pytest.fixture(scope="module")
def sam2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sam2")
    tiny("sam2").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pe_audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_pe_audio(tmp_path_factory.mktemp("pe"))


def config_of(folder: Path) -> Any:
    return json.loads((folder / "config.json").read_text())


def test_built_in_names() -> None:
    pipeline = CoProp.assemble()
    assert isinstance(pipeline.detector, ControlPointDetector)
    assert isinstance(pipeline.propagator, AudioInsertPropagator)
    assert pipeline.max_segment_s == 1.0
    names = {slot: pipeline.name_of(slot) for slot in ("detector", "segmenter", "propagator")}
    assert names == {"detector": "novelty", "segmenter": "default", "propagator": "default"}
    pipeline.detector = changes_at(1.0)
    assert pipeline.name_of("detector") is None
    assert isinstance(CoProp.assemble(words=["dog"]).detector, EventDetector)


def test_what_a_pipeline_takes_is_taken_wherever_it_is_made() -> None:
    assert CoProp.assemble(segments_at_once=3).segments_at_once == 3
    with pytest.raises(CoPropError, match="segments_at_once must be"):
        CoProp.assemble(segments_at_once=0)
    options = ("max_segment_s", "namer", "device", "dtype", "segments_at_once")
    for make in (CoProp, CoProp.from_pretrained, CoProp.wrap, CoProp.assemble):
        assert {*options} <= {*inspect.signature(make).parameters}


@pytest.mark.parametrize("part", [3, None, b"default", ["default"], ""])
@pytest.mark.parametrize("slot", ["detector", "segmenter", "propagator"])
def test_what_is_no_part(slot: str, part: Any) -> None:
    if (slot, part) == ("detector", None):
        return  # for the one that fits
    with pytest.raises(CoPropError) as refused:
        CoProp.assemble(**{slot: part})
    assert "\n" not in str(refused.value)


def test_words_of_a_detector_that_has_its_own() -> None:
    with pytest.raises(CoPropError, match="words go with a detector that is named"):
        CoProp.assemble(detector=changes_at(1.0), words=["dog"])


def test_a_segmenter_that_is_told_words_gets_some() -> None:
    told = CoProp.assemble(segmenter="text", propagator=small_propagator())
    assert isinstance(told.segmenter, TextGuidedSegmenter)
    assert isinstance(told.detector, EventDetector)
    named = CoProp.assemble(detector="novelty", segmenter="text", propagator=small_propagator())
    assert not isinstance(named.detector, ControlPointDetector)  # its control points have names


def test_objects_and_folders(sam2: Path, pe_audio: Path, segmenter: KeyframeSegmenter) -> None:
    detector = changes_at(1.0)
    pipeline = CoProp.assemble(detector=detector, segmenter=segmenter, propagator=sam2)
    assert pipeline.detector is detector
    assert pipeline.segmenter is segmenter
    assert isinstance(pipeline.propagator, Sam2Propagator)
    assert pipeline.name_of("propagator") == str(sam2)
    for name in (pe_audio, str(pe_audio), f"events:{pe_audio}"):
        heard = CoProp.assemble(detector=name, segmenter=segmenter, words=["dog", "harp"])
        assert isinstance(heard.detector, EventDetector)
        assert heard.detector.words == ("dog", "harp")


def test_saved_and_loaded(tmp_path: Path) -> None:
    pipeline = CoProp.assemble(
        detector="events", words=["dog", "violin"], max_segment_s=None, namer=None
    )
    pipeline.working_edge = 512
    pipeline.detector.threshold = 0.125  # type: ignore[attr-defined]
    assert pipeline.save_pretrained(tmp_path / "saved") is None
    files = {path.name for path in (tmp_path / "saved").iterdir()}
    assert files == {"README.md", "config.json", *WEIGHTS}
    assert config_of(tmp_path / "saved") == {
        "model_type": "coprop",
        "detector": {
            "name": "events",
            "threshold": 0.125,
            "min_gap_s": 0.5,
            "words": ["dog", "violin"],
        },
        "segmenter": "keyframe_segmenter",
        "propagator": "propagator",
        "max_segment_s": None,
        "working_edge": 512,
        "names_sounds": False,
    }
    again = CoProp.from_pretrained(tmp_path / "saved")
    assert (again.max_segment_s, again.working_edge, again.namer) == (None, 512, None)
    assert isinstance(again.detector, EventDetector)
    assert (again.detector.threshold, again.detector.words) == (0.125, ("dog", "violin"))
    own = pipeline.propagator.state_dict()  # type: ignore[attr-defined]
    for name, tensor in again.propagator.state_dict().items():  # type: ignore[attr-defined]
        torch.testing.assert_close(tensor, own[name], rtol=0, atol=0)
    again.save_pretrained(tmp_path / "twice")
    assert config_of(tmp_path / "twice") == config_of(tmp_path / "saved")
    other = CoProp.from_pretrained(tmp_path / "saved", max_segment_s=3, namer=AUDIOSET)
    assert (other.max_segment_s, other.namer) == (3, AUDIOSET)
    part = CoProp.assemble(propagator=tmp_path / "saved", segmenter=Recorder())
    assert isinstance(part.propagator, AudioInsertPropagator)


def drawn(pipeline: CoProp) -> tuple[Any, ...]:
    """What tells the pipelines of the next test apart, part by part."""
    threshold = pipeline.detector.threshold  # type: ignore[attr-defined]
    propagator = pipeline.propagator
    if isinstance(propagator, Sam2Propagator):
        return pipeline.max_segment_s, threshold, None
    assert isinstance(propagator, AudioInsertPropagator)
    return pipeline.max_segment_s, threshold, float(next(propagator.parameters()).detach().sum())


@pytest.mark.parametrize("before", ["whole", "sam2", "without config.json", "nothing"])
def test_a_kill_while_one_is_saved_over_another_leaves_no_mixture(
    before: str, tmp_path: Path, sam2: Path, segmenter: KeyframeSegmenter
) -> None:
    old = CoProp.assemble(
        detector=ControlPointDetector.novelty(threshold=0.25),
        segmenter=segmenter,
        propagator=sam2 if before == "sam2" else small_propagator(),
        max_segment_s=2.0,
    )
    other = small_propagator()
    next(other.parameters()).data += 1
    new = CoProp.assemble(
        detector=ControlPointDetector.novelty(threshold=0.5),
        segmenter=segmenter,
        propagator=other,
        max_segment_s=3.0,
    )
    folder = tmp_path / "saved"
    folder.mkdir()
    known = {drawn(new)}
    if before != "nothing":
        old.save_pretrained(folder)
        if before == "without config.json":
            (folder / "config.json").unlink()
        known.add(drawn(CoProp.from_pretrained(folder)))
        assert len(known) == 2
    states = states_of(folder, tmp_path / "states", lambda: new.save_pretrained(folder))
    loaded = []
    for state in states:
        try:
            loaded.append(drawn(CoProp.from_pretrained(state)))
        except CheckpointError:
            loaded.append(None)
    assert set(loaded) == {*known, None}
    assert loaded[-1] == drawn(new)
    assert loaded[:-1].count(drawn(new)) <= 2  # what is left to do is to tidy
    stopped = next(state for state in states if list(state.glob(".saving.*")))
    (stopped / ".saving-mine").touch()
    new.save_pretrained(stopped)
    assert drawn(CoProp.from_pretrained(stopped)) == drawn(new)
    assert {path.name for path in stopped.glob(".*")} <= {".saving-mine", LOCK}


@pytest.mark.parametrize("make", [ControlPointDetector.novelty, ControlPointDetector.cosine])
def test_detectors_that_were_given_are_saved_by_name(make: Any, tmp_path: Path) -> None:
    pipeline = CoProp.from_pretrained(detector=make(threshold=0.25, min_gap_s=1.0))
    pipeline.save_pretrained(tmp_path)
    entry = {"name": make.__name__, "threshold": 0.25, "min_gap_s": 1.0}
    assert config_of(tmp_path)["detector"] == entry
    again = CoProp.from_pretrained(tmp_path).detector
    assert isinstance(again, ControlPointDetector)
    assert (again.threshold, again.min_gap_s) == (0.25, 1.0)


def test_models_in_folders_travel_with_the_pipeline(
    tmp_path: Path, sam2: Path, pe_audio: Path
) -> None:
    pipeline = CoProp.assemble(detector=pe_audio, propagator=sam2, words=["dog", "harp"])
    pipeline.save_pretrained(tmp_path)
    config = config_of(tmp_path)
    assert config["propagator"] == "propagator"
    assert config["detector"] | {"words": ["dog", "harp"], "name": "detector"} == config["detector"]
    assert "license: other" in (tmp_path / "README.md").read_text()
    again = CoProp.from_pretrained(tmp_path)
    assert isinstance(again.propagator, Sam2Propagator)
    assert isinstance(again.detector, EventDetector)
    assert again.detector.words == ("dog", "harp")


def test_models_of_the_hub_stay_names(tmp_path: Path, sam2: Path, hub: FakeHub) -> None:
    copy_to(hub, "meta/sam2", sam2)
    pipeline = CoProp.assemble(propagator="meta/sam2")
    assert hub.asked == [
        ("meta/sam2", ["config.json"]),
        ("meta/sam2", ["config.json", "model.safetensors"]),
    ]
    pipeline.save_pretrained(tmp_path / "saved")
    assert config_of(tmp_path / "saved")["propagator"] == "meta/sam2"
    assert not (tmp_path / "saved" / "propagator").exists()
    card = (tmp_path / "saved" / "README.md").read_text()
    assert "base_model:\n- meta/sam2" in card
    assert "license: apache-2.0" in card
    again = CoProp.from_pretrained(tmp_path / "saved")
    assert isinstance(again.propagator, Sam2Propagator)
    assert again.name_of("propagator") == "meta/sam2"


def copy_to(hub: FakeHub, name: str, source: Path) -> None:
    shutil.copytree(source, hub.root / name)
    (hub.root / name / "original").mkdir()
    (hub.root / name / "original" / "model.safetensors").write_bytes(b"another form")
    (hub.root / name / "weights.pt").write_bytes(b"a third")


def test_pushed_and_fetched(tmp_path: Path, hub: FakeHub, segmenter: KeyframeSegmenter) -> None:
    pipeline = CoProp.assemble(detector="cosine")
    assert pipeline.push_to_hub("small", branch="v1") == "https://hub/me/small/commit"
    assert hub.asked.pop() == ("me/small", ["v1"])
    card = (hub.root / "me/small/README.md").read_text()
    assert 'CoProp.from_pretrained("me/small")' in card
    assert "library_name: coprop" in card
    again = CoProp.from_pretrained("me/small", revision="v1")
    assert isinstance(again.detector, ControlPointDetector)
    assert again.detector.threshold == pipeline.detector.threshold  # type: ignore[attr-defined]
    hub.asked.clear()
    part = CoProp.from_pretrained("me/small", segmenter=segmenter)
    assert isinstance(part.propagator, AudioInsertPropagator)
    fetched = {file for _, files in hub.asked for file in files}
    assert "keyframe_segmenter/model.safetensors" not in fetched
    assert isinstance(CoProp.assemble(segmenter="me/small").segmenter, KeyframeSegmenter)
    folder = tmp_path / "folder"
    assert pipeline.save_pretrained(folder, push_to_hub=True, private=True)
    assert hub.asked.pop() == ("me/folder", ["None"])
    mine = {"template_str": "{{ card_data }}\n{{ name }}: {{ parts }}", "parts": "three"}
    pipeline.push_to_hub("carded", model_card_kwargs=mine)
    assert (hub.root / "me/carded/README.md").read_text().endswith("me/carded: three")


def test_what_is_in_the_cache_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sam2: Path
) -> None:
    cached(monkeypatch, tmp_path, "facebook/sam2.1-hiera-tiny", sam2)
    name = "facebook/sam2.1-hiera-tiny"
    pipeline = CoProp.assemble(propagator=name, local_files_only=True)
    assert isinstance(pipeline.propagator, Sam2Propagator)
    listed = {each.name: each for each in listed_models() if each.slot == "propagator"}
    assert listed[name].is_on_disk
    assert listed[name].bytes_on_disk == (sam2 / "model.safetensors").stat().st_size
    assert not listed["facebook/sam2.1-hiera-large"].is_on_disk
    weights = next(tmp_path.rglob("model.safetensors"))
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"with all its files.*hf download facebook/sam2"):
        CoProp.assemble(propagator=name, local_files_only=True)


@pytest.mark.parametrize("slot", ["detector", "segmenter", "propagator"])
def test_what_is_not_on_disk_is_refused_without_asking(slot: str) -> None:
    part: dict[str, Any] = {slot: "owner/name"}
    with pytest.raises(CheckpointError, match=r"nothing may be downloaded.*hf download owner/name"):
        CoProp.assemble(**part, local_files_only=True)
    with pytest.raises(CheckpointError, match="nothing may be downloaded"):
        CoProp.from_pretrained("owner/name", local_files_only=True)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("GatedRepoError", r"owner/name is gated: ask for access on its page.*hf auth login"),
        ("RepositoryNotFoundError", r"neither a folder owner/name nor a model of that name"),
        ("RevisionNotFoundError", r"no such revision"),
        ("HfHubHTTPError", r"owner/name cannot be fetched: no"),
    ],
)
def test_what_the_hub_says(hub: FakeHub, fault: str, said: str) -> None:
    hub.fault = hub_error(fault)
    for slot in ("detector", "segmenter", "propagator"):
        part: dict[str, Any] = {slot: "owner/name"}
        with pytest.raises(CheckpointError, match=said) as refused:
            CoProp.assemble(**part)
        assert str(refused.value).count("\n") == 0
    with pytest.raises(CheckpointError, match=said):
        CoProp.from_pretrained("owner/name")


def test_parts_that_cannot_be_saved(tmp_path: Path) -> None:
    parts: dict[str, Any] = {"detector": changes_at(1.0), "segmenter": Recorder()}
    for slot, part in parts.items():
        with pytest.raises(CoPropError, match=f"the {slot}, .*, cannot be saved"):
            CoProp.assemble(**{slot: part}).save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
    pipeline = CoProp.assemble(namer=lambda audio, segment: ())
    with pytest.raises(CoPropError, match=r"the namer, .*, cannot be saved"):
        pipeline.save_pretrained(tmp_path / "saved")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        CoProp.assemble().save_pretrained(tmp_path / "file")
    with pytest.raises(OutputError, match="repo_id must be a text"):
        CoProp.assemble().push_to_hub("")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"detector": 3}, "must name its detector by a text"),
        ({"detector": {"name": "novelty", "hat": 1}}, "with name, words, threshold, min_gap_s"),
        ({"segmenter": {"name": "default", "threshold": 1}}, "must name its segmenter"),
        ({"detector": "rcpg:http://elsewhere/v1"}, "a file may name the folder"),
        ({"propagator": "/etc"}, "a file may name the folder"),
        ({"propagator": "../propagator"}, "a file may name the folder"),
        ({"propagator": "loud"}, "a file may name the folder"),
        ({"hat": 1}, "has hat, which a pipeline's has not"),
        ({"detector": {"name": "novelty", "threshold": 2}}, r"threshold must be in \[0, 1\]"),
        ({"detector": {"name": "events", "words": [1]}}, "must be words"),
        ({"max_segment_s": "long"}, "max_segment_s must be"),
        ({"working_edge": 0}, "working_edge must be"),
        ({"names_sounds": "yes"}, "names_sounds must be true or false"),
    ],
)
def test_a_config_that_means_nothing(
    tmp_path: Path, weights: Path, change: dict[str, Any], said: str
) -> None:
    for part in WEIGHTS:
        (tmp_path / part).symlink_to(weights / part)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "coprop", **change}))
    with pytest.raises(CoPropError, match=said):
        CoProp.from_pretrained(tmp_path)


def test_pipelines_name_no_pipelines(hub: FakeHub) -> None:
    for name, other in (("a/a", "b/b"), ("b/b", "a/a")):
        folder = hub.root / name
        folder.mkdir(parents=True)
        config = {"model_type": "coprop", "segmenter": other, "propagator": other}
        (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="model type 'coprop'"):
        CoProp.from_pretrained("a/a")
