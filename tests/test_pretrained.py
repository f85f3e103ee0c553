"""Models saved to a folder and loaded back, without a word and without a network."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file

from coprop import AudioInsertPropagator, CoProp, KeyframeSegmenter
from coprop.checkpoints.weights import PretrainedModel
from coprop.errors import CheckpointError, CoPropError, OutputError
from coprop.keyframes.audio_queried import AudioQueriedConfig
from coprop.keyframes.segmenter import SegmenterConfig
from coprop.storage.locks import WriterLock
from pipeline_samples import changes_at, small_propagator
from stopped_saving import states_of

QUERIED = AudioQueriedConfig(
    visual="resnet18", width=32, heads=2, encoder_layers=1, decoder_layers=1, num_classes=3
)


def grounded() -> KeyframeSegmenter:
    return KeyframeSegmenter(SegmenterConfig("grounded", working_edge=64))


def audio_queried() -> KeyframeSegmenter:
    return KeyframeSegmenter(SegmenterConfig("audio_queried", 64, QUERIED))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with a small propagator."""
    small_propagator().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("build", [grounded, audio_queried, small_propagator])
@pytest.mark.parametrize("half", [False, True])
def test_what_is_saved_comes_back(
    build: Callable[[], PretrainedModel],
    half: bool,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = build()
    if half:
        model = model.half()
    model.save_pretrained(tmp_path / "model")
    stored = load_file(tmp_path / "model" / "model.safetensors")
    assert all(t.dtype == torch.float16 for t in stored.values() if t.is_floating_point()) is half
    for place in (tmp_path / "model", str(tmp_path / "model")):
        loaded = type(model).from_pretrained(place)
        assert loaded.config == model.config
        assert not loaded.training
        expected, found = model.state_dict(), loaded.state_dict()
        assert found.keys() == expected.keys()
        for name, value in found.items():
            if value.is_floating_point():
                assert value.dtype == torch.float32
            torch.testing.assert_close(value, expected[name].to(value.dtype), rtol=0, atol=0)
    assert capfd.readouterr().out == ""


@pytest.mark.usefixtures("no_network")
def test_a_kill_while_a_model_is_saved_over_another_leaves_no_mixture(
    saved: Path, tmp_path: Path
) -> None:
    (saved / "notes.txt").write_text("mine")
    old, new = AudioInsertPropagator.from_pretrained(saved), small_propagator()
    new.config = replace(new.config, long_term_gap=new.config.long_term_gap + 1)
    next(new.parameters()).data += 1
    known = [(model.config, float(next(model.parameters()).sum())) for model in (old, new)]
    loaded = []
    for state in states_of(saved, tmp_path / "states", lambda: new.save_pretrained(saved)):
        assert (state / "notes.txt").read_text() == "mine"
        if not (state / "config.json").exists():
            with pytest.raises(CheckpointError, match=r"it has no config\.json"):
                AudioInsertPropagator.from_pretrained(state)
            continue
        model = AudioInsertPropagator.from_pretrained(state)
        loaded.append(known.index((model.config, float(next(model.parameters()).sum()))))
    assert loaded == sorted(loaded)
    assert set(loaded) == {0, 1}


def test_a_folder_has_one_writer_and_what_a_kill_left_goes(saved: Path) -> None:
    before = sorted(saved.iterdir())
    (saved / ".model.safetensors.0a1b2c3d.part").write_bytes(b"half")
    with WriterLock.of_folder(saved), pytest.raises(OutputError, match="by another process"):
        small_propagator().save_pretrained(saved)
    small_propagator().save_pretrained(saved)
    assert sorted(saved.iterdir()) == before


@pytest.mark.usefixtures("no_network")
def test_a_pipeline_is_loaded_from_a_folder(tmp_path: Path) -> None:
    grounded().half().save_pretrained(tmp_path / "keyframe_segmenter")
    small_propagator().half().save_pretrained(tmp_path / "propagator")
    pipeline = CoProp.from_pretrained(tmp_path)
    assert isinstance(pipeline.segmenter, KeyframeSegmenter)
    assert isinstance(pipeline.propagator, AudioInsertPropagator)
    assert pipeline.segmenter.config.working_edge == 64
    assert pipeline.propagator.config.embedding_dim == 32
    assert CoProp.from_pretrained(tmp_path, device="meta").device.type == "meta"


@pytest.mark.usefixtures("no_network")
def test_parts_of_ones_own_take_the_places_of_the_defaults(tmp_path: Path) -> None:
    segmenter, propagator, detector = grounded(), small_propagator(), changes_at(1.0)
    # The folder is not looked at for what is given.
    parts: dict[str, Any] = {"segmenter": segmenter, "propagator": propagator}
    pipeline = CoProp.from_pretrained(tmp_path, detector=detector, max_segment_s=None, **parts)
    assert pipeline.segmenter is segmenter
    assert pipeline.propagator is propagator
    assert pipeline.detector is detector
    assert pipeline.max_segment_s is None
    with pytest.raises(CheckpointError, match=r"has no propagator/config\.json"):
        CoProp.from_pretrained(tmp_path, segmenter=segmenter)
    with pytest.raises(CoPropError, match="off_screen is for the default's segmenter"):
        CoProp.from_pretrained(tmp_path, off_screen=0.5, **parts)


@pytest.mark.usefixtures("no_network")
def test_how_often_what_sounds_is_off_screen_is_chosen_and_kept(tmp_path: Path) -> None:
    grounded().save_pretrained(tmp_path / "keyframe_segmenter")
    small_propagator().save_pretrained(tmp_path / "propagator")
    segmenter = CoProp.from_pretrained(tmp_path, off_screen=0.75).segmenter
    assert isinstance(segmenter, KeyframeSegmenter)
    assert segmenter.network.selector.off_screen == 0.75
    segmenter.save_pretrained(tmp_path / "again")
    again = KeyframeSegmenter.from_pretrained(tmp_path / "again")
    assert again.network.selector.off_screen == 0.75
    for wrong in (-0.1, 1.5, float("nan"), "often"):
        with pytest.raises(CoPropError, match=r"off_screen must be a probability"):
            CoProp.from_pretrained(tmp_path, off_screen=wrong)  # type: ignore[arg-type]
    with pytest.raises(CoPropError, match="not 'audio_queried'"):
        audio_queried().set_off_screen(0.5)


@pytest.mark.usefixtures("no_network")
def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    for model in (KeyframeSegmenter, AudioInsertPropagator):
        for place in (tmp_path / "nothing", str(tmp_path / "nothing")):
            with pytest.raises(CheckpointError, match=r"no model at .*nothing.*save_pretrained"):
                model.from_pretrained(place)
    with pytest.raises(CoPropError, match="cache_dir is empty text"):
        KeyframeSegmenter.from_pretrained("owner/name", cache_dir="")
    for folder in ("models", tmp_path / "nothing"):
        with pytest.raises(CheckpointError, match=r"has no keyframe_segmenter.*give a folder"):
            CoProp.from_pretrained(folder)


def test_a_model_of_the_hub_that_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"owner/name is neither a folder.*hf download owner/name"
    ):
        KeyframeSegmenter.from_pretrained("owner/name", cache_dir=tmp_path, local_files_only=True)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        AudioInsertPropagator.from_pretrained(saved)


def test_another_model_s_folder(saved: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json of .* is not one of this model"):
        KeyframeSegmenter.from_pretrained(saved)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"config\.json of .* is damaged"),
        ('{"width_of_hat": 3}', r"width_of_hat"),
        ('{"encoder": "vgg"}', r"encoder must be one of"),
    ],
)
def test_a_config_that_is_none(saved: Path, text: str, message: str) -> None:
    (saved / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        AudioInsertPropagator.from_pretrained(saved)


def test_an_unknown_architecture(tmp_path: Path) -> None:
    grounded().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {"architecture": "gronded"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"architecture must be one of .* got 'gronded'"):
        KeyframeSegmenter.from_pretrained(tmp_path)


def change(folder: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path)


def test_weights_with_missing_unknown_or_misshapen_tensors(saved: Path) -> None:
    def edit(tensors: dict[str, torch.Tensor]) -> None:
        del tensors["encoder_projector.bias"]
        tensors["hat.weight"] = torch.zeros(3)
        tensors["patch_wise_id_bank.weight"] = torch.zeros(3, 4)

    change(saved, edit)
    with pytest.raises(CheckpointError) as caught:
        AudioInsertPropagator.from_pretrained(saved)
    message = str(caught.value)
    assert "1 missing: encoder_projector.bias" in message
    assert "1 unknown: hat.weight" in message
    assert "patch_wise_id_bank.weight is (3, 4), expected (32, 11, 17, 17)" in message


@pytest.mark.parametrize("size", [0, 5, 1000])
def test_weights_that_break_off(saved: Path, size: int) -> None:
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match="damaged or incomplete"):
        AudioInsertPropagator.from_pretrained(saved)


def test_loading_leaves_the_random_numbers_of_the_user_alone(saved: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    AudioInsertPropagator.from_pretrained(saved)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_a_folder_has_a_card_and_keeps_its_own(saved: Path) -> None:
    text = (saved / "README.md").read_text()
    assert "library_name: coprop" in text
    assert "license: apache-2.0" in text
    assert "- video-object-segmentation" in text
    (saved / "README.md").write_text("mine")
    small_propagator().save_pretrained(saved)
    assert (saved / "README.md").read_text() == "mine"


class Hub:
    """In place of huggingface_hub's HfApi: keeps what is uploaded."""

    uploads: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, token: str | None = None) -> None:
        self.token = token

    def create_repo(self, repo_id: str, private: bool | None, exist_ok: bool) -> Any:
        assert exist_ok
        return SimpleNamespace(repo_id=f"me/{repo_id}")

    def upload_folder(self, folder_path: str, **options: Any) -> str:
        files = {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}
        self.uploads.append({"token": self.token, "files": files, **options})
        return "https://hub/commit"


def test_a_model_is_pushed_to_the_hub(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    model = AudioInsertPropagator.from_pretrained(saved)
    url = model.push_to_hub("tiny", token="secret", branch="next", ignore_patterns=("*.md",))
    assert url == "https://hub/commit"
    sent = Hub.uploads.pop()
    assert (sent["repo_id"], sent["token"], sent["revision"]) == ("me/tiny", "secret", "next")
    assert sent["ignore_patterns"] == ["*.md"]
    assert sent["files"].keys() == {"README.md", "config.json", "model.safetensors"}
    assert sent["files"]["model.safetensors"] == (saved / "model.safetensors").read_bytes()
    folder = saved.parent / "again"
    assert model.save_pretrained(folder, push_to_hub=True, private=True) == "https://hub/commit"
    assert Hub.uploads.pop()["repo_id"] == "me/again"
    assert (folder / "config.json").exists()
    monkeypatch.chdir(folder)
    assert model.save_pretrained(".", push_to_hub=True) == "https://hub/commit"
    assert Hub.uploads.pop()["repo_id"] == "me/again"


def test_a_model_of_the_hub_is_fetched(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def fetch(name: str, file: str, **options: Any) -> str:
        asked.append((name, file, options["revision"], options["token"]))
        return str(saved / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    model = AudioInsertPropagator.from_pretrained("me/tiny", revision="v1", token="secret")
    assert model.config.embedding_dim == 32
    files = ("config.json", "model.safetensors")
    assert asked == [("me/tiny", file, "v1", "secret") for file in files]


def test_names_that_no_folder_has() -> None:
    for name in ("x" * 5000, "a\0b", ""):
        with pytest.raises(CheckpointError):
            KeyframeSegmenter.from_pretrained(name)
