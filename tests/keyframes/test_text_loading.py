"""Models that segment by words, from folders and the hub: what is loaded, and what is said."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_text_models import save

from coprop import CoProp, CoPropError
from coprop.control_points.events.pe_audio import PeAudioTagger
from coprop.errors import CheckpointError
from coprop.keyframes.text import TextSegmenter
from coprop.propagation.sam2 import Sam2Propagator
from coprop.sam3_pair import sam3_pair
from pipeline_samples import changes_at, clip_of, noise

Load = Callable[..., Any]
LOADERS: dict[str, Load] = {
    "segmenter": TextSegmenter.from_pretrained,
    "propagator": Sam2Propagator.from_pretrained,
    "pair": sam3_pair,
    "tagger": partial(PeAudioTagger.from_pretrained, words=["dog"]),
}


@pytest.fixture(params=LOADERS)
def load(request: pytest.FixtureRequest) -> Load:
    return LOADERS[request.param]


# Where there is no model


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was asked of the network, which is not there."""
    asked: list[object] = []

    def refuse(*given: object, **options: object) -> None:
        asked.append(given)
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return asked


def test_offline_no_connection_is_made(
    load: Load, unreachable: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    # What the hub's client asks for before anything else, once a day.
    monkeypatch.setattr("huggingface_hub.utils._detect_agent._registry", None)
    monkeypatch.setattr("huggingface_hub.constants.AGENT_HARNESSES_PATH", str(tmp_path / "none"))
    with pytest.raises(CheckpointError, match=r"in the hub's cache.*hf download some/model"):
        load("some/model", local_files_only=True)
    assert not unreachable


def test_what_was_fetched_is_found_offline(
    clipseg: Path, unreachable: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.utils._detect_agent._registry", None)
    monkeypatch.setattr("huggingface_hub.constants.AGENT_HARNESSES_PATH", str(tmp_path / "none"))
    repository = tmp_path / "models--some--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    shutil.copytree(clipseg, repository / "snapshots" / "abc")
    assert TextSegmenter.from_pretrained("some/model", local_files_only=True).network is not None
    assert not unreachable


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (
            "You are trying to access a gated repo.\nMake sure to have access to it at ...",
            r"facebook/sam3 is gated.*https://huggingface.co/facebook/sam3.*hf auth login",
        ),
        ("401 Client Error. Cannot access", r"gated, or not open to you.*hf auth login"),
        ("We couldn't connect to 'https://huggingface.co'", r"hf download facebook/sam3"),
        ("facebook/sam3 is not a valid model identifier", r"there is no .* at facebook/sam3"),
    ],
)
def test_one_sentence_says_what_to_do(
    load: Load, raised: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **options: object) -> None:
        raise OSError(raised)

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", fail)
    with pytest.raises(CheckpointError, match=said) as told:
        load("facebook/sam3")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["nowhere/at/all", "../sam3", "", "a b", "/no/such/folder"])
def test_neither_a_folder_nor_a_hub_id(load: Load, name: str, unreachable: list[object]) -> None:
    with pytest.raises(CheckpointError):
        load(name)
    with pytest.raises(CheckpointError):
        load(Path(name or "none"))
    assert not unreachable


def test_a_folder_of_another_kind(load: Load, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(CheckpointError, match=r"it is of type 'bert'\. Give a folder"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": "abacus"}, "device must be one that computes here"),
        ({"dtype": "bfloat16"}, "dtype must be one of torch's"),
        ({"dtype": torch.int8}, "dtype must be one of torch's"),
    ],
)
@pytest.mark.parametrize("name", ["segmenter", "propagator", "pair"])
def test_options_of_loading(name: str, options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match=said):
        LOADERS[name](tmp_path, **options)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, "high", float("nan"), True])
def test_a_threshold_out_of_range(threshold: Any) -> None:
    for load in (TextSegmenter.from_pretrained, sam3_pair):
        with pytest.raises(CoPropError, match=r"threshold must be a score in \[0, 1\]"):
            load("some/model", threshold=threshold)


@pytest.fixture(scope="module")
def clipseg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save("clipseg", tmp_path_factory.mktemp("clipseg"))


def test_masks_where_they_belong(clipseg: Path, tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match=r"makes masks itself.*leave it out"):
        TextSegmenter.from_pretrained(clipseg, clipseg)
    detector = save("owlv2", tmp_path)
    with pytest.raises(CoPropError, match=r'finds boxes; give masks.*masks="facebook/sam2\.1'):
        TextSegmenter.from_pretrained(detector)
    with pytest.raises(CheckpointError, match=r"there is no SAM 2 or EdgeTAM at .*'clipseg'"):
        TextSegmenter.from_pretrained(detector, clipseg)


def test_loading_draws_no_numbers(clipseg: Path) -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    segmenter = TextSegmenter.from_pretrained(str(clipseg))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert segmenter.network is not None
    assert not segmenter.network.training


@pytest.mark.parametrize("content", [b"", b"not weights", None])
def test_damaged_weights(content: bytes | None, clipseg: Path, tmp_path: Path) -> None:
    for file in clipseg.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    if content is None:
        (tmp_path / "model.safetensors").unlink()
    else:
        (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="there is no detector of boxes or segmenter"):
        TextSegmenter.from_pretrained(tmp_path)


# One folder in two slots


@pytest.fixture(scope="module")
def sam3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save("sam3_video", tmp_path_factory.mktemp("sam3_video"))


def test_one_folder_serves_both_slots(sam3_folder: Path) -> None:
    segmenter, propagator = sam3_pair(sam3_folder, threshold=0.12, categories=("dog",))
    encoders: list[Any] = [segmenter.network.vision_encoder, propagator.model.vision_encoder]  # type: ignore[union-attr]
    assert encoders[0].backbone is encoders[1].backbone
    assert not any(p.is_meta for p in propagator.parameters())

    # They answer as those that are loaded by themselves,
    frames, sound = torch.rand(3, 3, 45, 61).mul(255).round().div(255), torch.zeros(1, 16_000)
    alone = TextSegmenter.from_pretrained(sam3_folder, threshold=0.12, categories=("dog",))
    logits = segmenter(frames[:1], sound)
    assert (logits[:, 1] > 0).any()
    torch.testing.assert_close(logits, alone(frames[:1], sound))
    tracker = Sam2Propagator.from_pretrained(sam3_folder)
    mask = torch.zeros(1, 45, 61, dtype=torch.long)
    mask[:, 10:30, 10:30] = 1
    states = [each.start(frames[:1], None, mask) for each in (propagator, tracker)]
    found, expected = (
        each.step(frames[1:2], None, state)[0]
        for each, state in zip((propagator, tracker), states, strict=True)
    )
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)  # pictures of 8 bits or not

    # and a keyframe is encoded once for both.
    calls: list[int] = []
    encoders[0].backbone.encoder.register_forward_hook(lambda *given: calls.append(1))
    pipeline = CoProp.wrap(segmenter, detector=changes_at(1.0), propagator=propagator, namer=None)
    result = pipeline(clip_of(8, height=45, width=61), noise(2.0), fps=4)
    assert result.labels.any()
    assert len(calls) == 8


def test_the_pair_needs_the_tracker(tmp_path: Path) -> None:
    save("sam3", tmp_path)
    with pytest.raises(CheckpointError, match=r"no SAM 3 with its tracker at .*of type 'sam3'"):
        sam3_pair(tmp_path)
