"""Control points by PE-A-Frame: a tiny one, through the very code of the published ones."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_pe_audio import write_tiny_pe_audio

from coprop import Audio, ControlPointDetector
from coprop.control_points.events.pe_audio import PeAudioTagger
from coprop.control_points.events.pieces import probabilities
from coprop.control_points.events.tagger import as_tagger
from coprop.errors import CheckpointError, CoPropError

RATE, HOP = 48_000, 1920
WORDS = ("dog", "a violin", "hair-dryer")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_pe_audio(tmp_path_factory.mktemp("pe-a-frame"))


@pytest.fixture(scope="module")
def tagger(folder: Path) -> PeAudioTagger:
    return PeAudioTagger.from_pretrained(folder, WORDS)


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def by_transformers(tagger: PeAudioTagger, samples: np.ndarray) -> np.ndarray:
    """As the model's own forward has it, all words and one sound at once."""
    texts = ["dog", "a violin", "hair dryer"]
    words = tagger.processor.tokenizer(texts, padding=True, return_tensors="pt")
    heard = tagger.processor.feature_extractor(samples, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        logits = tagger.model(
            input_ids=words["input_ids"],
            attention_mask=words["attention_mask"],
            input_values=heard["input_values"],
        ).logits_audio_text
    return logits[0].T.sigmoid().numpy()


class TestTagger:
    def test_as_transformers_has_it(self, tagger: PeAudioTagger) -> None:
        samples = sound(3.0)
        found = tagger(samples)
        assert found.shape == (75, 3)
        assert found.std(axis=0).min() > 0.01  # different moments, and words, differ
        assert np.abs(found[:, 0] - found[:, 1]).max() > 0.01
        np.testing.assert_allclose(found, by_transformers(tagger, samples), atol=1e-5)

    def test_batch_is_one_by_one(self, tagger: PeAudioTagger) -> None:
        sounds = [sound(2.0), sound(0.7, 1), sound(1.3001, 2), sound(0.6999, 3), sound(2.0, 4)]
        for own, samples in zip(tagger.batch(sounds), sounds, strict=True):
            assert len(own) == -(-len(samples) // HOP)
            np.testing.assert_allclose(own, tagger(samples), atol=1e-5)

    def test_words_read_a_few_at_a_time(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        samples = sound(0.5)
        words = [f"word {i}" for i in range(9)]
        once = PeAudioTagger.from_pretrained(folder, words)(samples)
        monkeypatch.setattr("coprop.control_points.events.pe_audio._WORDS_AT_ONCE", 4)
        again = PeAudioTagger.from_pretrained(folder, words)(samples)
        np.testing.assert_allclose(once, again, atol=1e-5)

    @pytest.mark.parametrize("samples", [1, 2, HOP - 1, HOP, HOP + 1])
    def test_hardly_any_sound(self, tagger: PeAudioTagger, samples: int) -> None:
        assert tagger(sound(1.0)[:samples]).shape == (-(-samples // HOP), 3)

    def test_a_track_of_one_piece_is_one_pass(self, tagger: PeAudioTagger) -> None:
        audio = Audio(sound(4.01), RATE)
        found = probabilities(as_tagger(tagger), audio)
        np.testing.assert_array_equal(found, tagger(audio.samples))

    def test_pieces_cover_a_longer_track(self, folder: Path) -> None:
        tagger = PeAudioTagger.from_pretrained(folder, WORDS)
        tagger.piece_s, tagger.context_s = 2.0, 0.4  # type: ignore[misc]
        audio = Audio(sound(7.003), RATE)
        found = probabilities(as_tagger(tagger), audio)
        assert found.shape == (176, 3)
        assert np.all(found > 0)  # each step was answered
        np.testing.assert_allclose(found[:40], tagger(audio.samples[: 50 * HOP])[:40], atol=1e-5)

    def test_another_rate_is_resampled(self, tagger: PeAudioTagger) -> None:
        audio = Audio(sound(1.0)[:16_000], 16_000)
        assert probabilities(as_tagger(tagger), audio).shape == (25, 3)


class TestDetector:
    def test_from_a_folder_without_a_network(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise AssertionError("a connection was made")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        detector = ControlPointDetector.events(folder, words=WORDS, threshold=0.3)
        tone = np.sin(np.arange(2 * RATE) / 20).astype(np.float32) * 0.5
        audio = Audio(np.concatenate([sound(2.0), tone]), RATE)
        points = detector(audio)
        assert detector.words == WORDS
        assert points.categories is not None
        assert {word for own in points.categories for word in own} <= set(WORDS)
        heard = detector.probabilities(audio)
        assert heard.shape == (100, 3)
        assert detector(audio, windows=4).flags.shape == (4,)

    def test_any_words(self, folder: Path) -> None:
        assert ControlPointDetector.events(folder).words[0] == "Speech"
        assert len(ControlPointDetector.events(str(folder), words="avss").words) == 70

    def test_global_random_numbers_stay(self, folder: Path) -> None:
        torch.manual_seed(0)
        wanted = torch.rand(1)
        torch.manual_seed(0)
        PeAudioTagger.from_pretrained(folder, WORDS)
        assert torch.equal(torch.rand(1), wanted)


class TestRefused:
    def test_another_model(self, tmp_path: Path) -> None:
        from transformers import AutoConfig

        AutoConfig.for_model("wav2vec2").save_pretrained(tmp_path)
        with pytest.raises(CheckpointError, match="it is of type 'wav2vec2'"):
            ControlPointDetector.events(tmp_path)

    def test_a_folder_without_anything(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r"no PE-A-Frame at .*hf download"):
            ControlPointDetector.events(tmp_path)

    def test_weights_are_lacking(self, folder: Path, tmp_path: Path) -> None:
        import shutil

        from safetensors.torch import load_file, save_file

        broken = tmp_path / "broken"
        shutil.copytree(folder, broken)
        weights = load_file(broken / "model.safetensors")
        dropped = {name: t for name, t in weights.items() if "audio_head" not in name}
        save_file(dropped, broken / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(CheckpointError, match="its weights lack"):
            ControlPointDetector.events(broken)

    def test_cut_off_weights(self, folder: Path, tmp_path: Path) -> None:
        import shutil

        broken = tmp_path / "broken"
        shutil.copytree(folder, broken)
        data = (broken / "model.safetensors").read_bytes()
        (broken / "model.safetensors").write_bytes(data[: len(data) // 2])
        with pytest.raises(CheckpointError, match="no PE-A-Frame at"):
            ControlPointDetector.events(broken)

    def test_not_fetched_and_offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise AssertionError("a connection was made")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        with pytest.raises(CheckpointError, match="hf download"):
            ControlPointDetector.events("facebook/pe-a-frame-not-there", local_files_only=True)

    @pytest.mark.parametrize("device", ["nonsense", "cuda:99", 1.5])
    def test_device(self, folder: Path, device: Any) -> None:
        with pytest.raises(CoPropError, match="device must be one that computes here"):
            ControlPointDetector.events(folder, device=device)

    def test_gated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from transformers import AutoConfig

        def refuse(*_: object, **__: object) -> None:
            raise OSError("You are trying to access a gated repo.\nMake sure to have access.")

        monkeypatch.setattr(AutoConfig, "from_pretrained", refuse)
        with pytest.raises(CheckpointError, match=r"ask for access .* hf auth login"):
            ControlPointDetector.events("owner/pe-a-frame")

    def test_the_clip_level_model(self, folder: Path, tagger: PeAudioTagger) -> None:
        from transformers import PeAudioModel

        clip_level = PeAudioModel(tagger.model.config)
        with pytest.raises(CoPropError, match="PeAudioModel, which has no times"):
            PeAudioTagger(clip_level, tagger.processor, WORDS)
        with pytest.raises(CoPropError, match="must be a PeAudioProcessor"):
            PeAudioTagger(tagger.model, object(), WORDS)

    @pytest.mark.parametrize("words", ["dog", [], ["dog", "dog"], [None]])
    def test_words(self, tagger: PeAudioTagger, words: Any) -> None:
        with pytest.raises(CoPropError, match="words"):
            PeAudioTagger(tagger.model, tagger.processor, words)
