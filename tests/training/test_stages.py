"""What each stage learns, at which rates, from which weights; and that it learns at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import avsbench_folders
import pytest
import small_library
import small_training
import torch
from safetensors.torch import load_file
from small_training import keyframe_recipe, propagator_recipe, session_of
from torch import nn

from coprop import CoProp
from coprop.control_points.detector import ControlPointDetector
from coprop.data.avsbench_object import MS3, S4
from coprop.data.avsbench_semantic import AVSS
from coprop.data.subsets import Subset
from coprop.encoders.vggish import VGGish
from coprop.errors import CoPropError
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.training.initial_weights import build_propagator, build_segmenter, model_folder
from coprop.training.keyframes import KeyframeObjective, key_frames_of
from coprop.training.propagator import PropagatorObjective, learning_rate, parameter_groups
from coprop.training.run import Data, train
from coprop.training.samples import join_keyframes
from coprop.training.session import make_accelerator
from tools.benchmark.composed_clips import ComposedClips


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parent = tmp_path_factory.mktemp("avsbench")
    for build in (
        avsbench_folders.build_s4,
        avsbench_folders.build_ms3,
        avsbench_folders.build_avss,
    ):
        build(parent)
    return parent


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> ComposedClips:
    sources = small_library.build(tmp_path_factory.mktemp("sources"))
    return ComposedClips(sources, count=1, split="train")


def losses_of(recipe: Any, dataset: Any, folder: Path) -> list[float]:
    session = session_of(recipe, dataset, folder)
    batches = session.batches(0)
    return [session.step(step, batches)[0] for step in range(recipe.steps)]


@pytest.mark.parametrize(
    "recipe",
    [
        keyframe_recipe(frames_per_clip=2, learning_rate=2e-3),
        propagator_recipe(learning_rate=5e-3, warm_up=0.0, teacher_forcing=1.0, size=[49, 65]),
    ],
    ids=["keyframes", "propagator"],
)
def test_a_few_steps_on_one_clip_lower_the_loss(
    recipe: Any, composed: ComposedClips, tmp_path: Path
) -> None:
    recipe = replace(recipe, steps=15, batch_size=1, augment=False)
    session = session_of(recipe, composed, tmp_path)
    batch = next(session.batches(0))

    def loss() -> float:
        with torch.no_grad():  # of all pixels, and not of fewer and fewer
            value: float = session.task.objective(**batch, **session.task.arguments(0)).item()
            return value

    before = loss()
    for step in range(recipe.steps - 1):
        session.step(step, iter([batch]))
    assert loss() < 0.7 * before


@pytest.mark.usefixtures("small_pictures")
def test_the_grounded_network_learns_its_own_parts(folder: Path, tmp_path: Path) -> None:
    recipe = keyframe_recipe(
        model={"architecture": "grounded"}, size=[64, 64], steps=2, frames_per_clip=1
    )
    session = session_of(recipe, MS3(folder, "train"), tmp_path)
    network = session.task.objective.network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    batches = session.batches(0)
    for step in range(2):
        session.step(step, batches)
    after = network.state_dict()
    moved = {n for n, v in before.items() if not torch.equal(v, after[n])}
    parts = ("visual.patch_classifier.", "audio.head.", "decoder.")
    assert all(name.startswith(parts) for name in moved)
    assert all(any(name.startswith(part) for name in moved) for part in parts)


def test_encoders_that_hear_and_statistics_stay(folder: Path, tmp_path: Path) -> None:
    session = session_of(keyframe_recipe(steps=1), MS3(folder, "train"), tmp_path)
    network = session.task.objective.network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    session.step(0, session.batches(0))
    for name, value in network.state_dict().items():
        stays = name.startswith("audio.") or "running" in name or "num_batches" in name
        if stays or name == "visual.network.conv1.0.weight":
            assert torch.equal(value, before[name]) == stays, name


def test_semantic_classes(folder: Path, tmp_path: Path) -> None:
    dataset = AVSS(folder, "train", labels=("v1m",))
    recipe = keyframe_recipe(steps=1, batch_size=1, frames_per_clip=1)
    (loss,) = losses_of(recipe, dataset, tmp_path)
    assert 3 < loss < 7  # near log(71) + Dice
    binary = build_segmenter(keyframe_recipe(), 1)
    binary.save_pretrained(tmp_path / "binary")
    with pytest.raises(CoPropError, match="71 classes, the segmenter 1"):
        build_segmenter(keyframe_recipe(start=str(tmp_path / "binary"), model={}), 71)


def test_key_frames_by_detectors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = MS3(folder, "train")
    assert key_frames_of(keyframe_recipe(), dataset) is None
    assert key_frames_of(keyframe_recipe(key_frames="annotation"), dataset) is not None
    for name in ("novelty", "cosine"):  # steady tones: nothing changes
        pairs = key_frames_of(keyframe_recipe(key_frames=name), dataset)
        assert pairs == ((0, 0), (1, 0))
    with pytest.raises(CoPropError, match="--set llm=NAME"):
        key_frames_of(keyframe_recipe(key_frames="rcpg"), dataset)
    asked: list[Any] = []

    def rcpg(llm: str, *, examples: str | None = None) -> Any:
        asked.append((llm, examples))
        return ControlPointDetector.cosine()

    monkeypatch.setattr(ControlPointDetector, "rcpg", rcpg)
    recipe = keyframe_recipe(key_frames="rcpg", llm="served", llm_examples="train.jsonl")
    assert key_frames_of(recipe, dataset) == ((0, 0), (1, 0))
    assert asked == [("served", "train.jsonl")]


def test_rates_of_the_propagator() -> None:
    recipe = propagator_recipe()
    rates = [learning_rate(2e-4, step, 1000, recipe) for step in (0, 25, 50, 525, 999)]
    assert rates == pytest.approx(
        [
            1e-5,
            1e-5 + 1.9e-4 / 2,
            2e-4,
            1e-5 + 1.9e-4 * (1 - 475 / 951) ** 0.9,
            1e-5 + 1.9e-4 * (2 / 951) ** 0.9,
        ]
    )
    assert learning_rate(2e-4, 0, 1, propagator_recipe(warm_up=0.0)) == pytest.approx(2e-4)


def test_groups_of_the_propagator() -> None:
    recipe = propagator_recipe(
        model={**small_training.PROPAGATOR, "encoder": "mobilenetv2"},
        frozen=["audio_insert.encoder"],
    )
    propagator = build_propagator(recipe)
    PropagatorObjective(propagator, recipe)
    groups = parameter_groups(propagator, recipe)
    names = {p: n for n, p in propagator.network.named_parameters()}
    found = {names[p]: (g["peak"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert found["encoder.features.1.conv.0.0.weight"] == (pytest.approx(2.9e-5), 0.07)
    assert found["LSTT.layers.0.linear_Q.weight"] == (2e-4, 0.07)
    assert found["LSTT.layers.0.linear_Q.bias"] == (2e-4, 0)
    assert found["LSTT.layers.0.short_term_attn.relative_emb_v"] == (2e-4, 0)
    assert found["decoder.conv_out.weight"] == (2e-4, 0)
    assert found["audio_insert.levels.1.projection.bias"] == (pytest.approx(1e-3), 0)
    assert found["audio_insert.levels.1.query.weight"] == (pytest.approx(1e-3), 0.07)
    assert not any(name.startswith("audio_insert.encoder") for name in found)


def test_teacher_forcing_at_first_then_predictions(folder: Path, tmp_path: Path) -> None:
    recipe = propagator_recipe(steps=4, teacher_forcing=0.5)
    session = session_of(recipe, MS3(folder, "train"), tmp_path)
    arguments = [session.task.arguments(step) for step in range(4)]
    assert [a["teacher_forcing"] for a in arguments] == [True, True, False, False]
    assert [a["share"] for a in arguments] == pytest.approx([1, 0.575, 0.15, 0.15])
    bank = session.task.objective.propagator.network.patch_wise_id_bank.weight
    batches, moved = session.batches(0), []
    for step in range(4):
        before = bank.detach().clone()
        session.step(step, batches)
        moved.append(not torch.equal(before, bank))
    assert moved == [True, True, False, False]


def test_memory_keeps_more_frames_only_while_training(folder: Path, tmp_path: Path) -> None:
    session = session_of(propagator_recipe(), MS3(folder, "train"), tmp_path)
    objective, propagator = session.task.objective, session.task.objective.propagator
    gaps = [propagator.config.long_term_gap]
    for mode in (True, False):
        objective.train(mode)
        gaps.append(propagator.config.long_term_gap)
    assert gaps == [5, 2, 5]


def test_true_masks_and_predictions_differ(folder: Path) -> None:
    recipe = propagator_recipe()
    objective = PropagatorObjective(build_propagator(recipe), recipe).train()
    torch.manual_seed(0)
    labels = torch.zeros(1, 3, 33, 49, dtype=torch.uint8)
    labels[:, :, 8:20, 8:30] = 4
    data = torch.rand(1, 3, 3, 33, 49), torch.randn(1, 3, 1000), labels
    forced, own = (objective(*data, share=1.0, teacher_forcing=x) for x in (True, False))
    assert forced.item() != own.item()


def test_a_whole_training_and_the_next_stage(folder: Path, tmp_path: Path) -> None:
    """Final folders are what was trained; stage two stands beside stage one's model."""
    changes = {"steps": 2, "validate_every": 2, "ema_ratio": 0.9}
    one = keyframe_recipe(key_frames="annotation", **changes)
    data = Data(MS3(folder, "train"), Subset(MS3(folder, "val"), [0, 1], "few"))
    accelerator = make_accelerator(one, cpu=True)
    assert train(one, data, tmp_path / "one", accelerator).finished
    assert (tmp_path / "one" / "key_frames.json").is_file()
    log = (tmp_path / "one" / "log.jsonl").read_text(encoding="utf-8")
    assert '"validation": {"jaccard_avsbench": ' in log

    two = propagator_recipe(beside=str(tmp_path / "one" / "final"), **changes)
    assert train(two, data, tmp_path / "two", accelerator).finished
    final = tmp_path / "two" / "final"
    pipeline = CoProp.from_pretrained(final)
    for model, path in (
        (pipeline.segmenter, tmp_path / "one" / "final" / "keyframe_segmenter"),
        (pipeline.propagator, final / "propagator"),
    ):
        assert isinstance(model, nn.Module)
        alone = type(model).from_pretrained(path)
        assert all(torch.equal(v, alone.state_dict()[n]) for n, v in model.state_dict().items())
    again = KeyframeSegmenter.from_pretrained(tmp_path / "one" / "final" / "keyframe_segmenter")
    frames, sound = torch.rand(1, 3, 40, 50), torch.randn(1, 16000)
    assert torch.equal(again(frames, sound), pipeline.segmenter(frames, sound))
    assert train(two, data, tmp_path / "two", accelerator, resume=True).step == 2
    (tmp_path / "one" / "key_frames.json").write_text("[[0, 0], [0, 1.5]]")
    with pytest.raises(CoPropError, match=r"key_frames\.json is damaged: a frame is 1\.5, no"):
        train(one, data, tmp_path / "one", accelerator, resume=True)


def test_final_weights_are_the_average(folder: Path, tmp_path: Path) -> None:
    recipe = propagator_recipe(steps=3, ema_ratio=1.0)
    accelerator = make_accelerator(recipe, cpu=True)
    train(recipe, Data(MS3(folder, "train")), tmp_path, accelerator)
    content = torch.load(tmp_path / "checkpoints" / "step_0000003.pt", weights_only=True)
    saved = AudioInsertPropagator.from_pretrained(tmp_path / "final" / "propagator").state_dict()
    name = "decoder.conv_in.conv.weight"
    assert not torch.equal(saved[name], content["model"][f"propagator.{name}"])
    assert any(torch.equal(saved[name], average) for average in content["average"].values())


def test_no_step_hands_over_the_start(folder: Path, tmp_path: Path) -> None:
    """Table 5's row "AOT": the official network as it is, in a folder like all others."""
    recipe = propagator_recipe(steps=0, start="default", model={})
    train(recipe, Data(MS3(folder, "train")), tmp_path, make_accelerator(recipe, cpu=True))
    saved = AudioInsertPropagator.from_pretrained(tmp_path / "final" / "propagator")
    stored = load_file(tmp_path / "final" / "propagator" / "model.safetensors")
    assert stored.keys() == AudioInsertPropagator(saved.config).state_dict().keys()


def test_official_files_as_a_start(tmp_path: Path) -> None:
    """The tensors of an AOT network by its own names; it is recognised, and given ears."""
    torch.manual_seed(0)
    small = {"embedding_dim": 32, "num_layers": 1, "insert_levels": []}
    plain = build_propagator(propagator_recipe(architecture="aot_l", model=small))
    torch.save({"state_dict": plain.state_dict()}, tmp_path / "aot.pth")
    start = {"architecture": "aot_l", "start": str(tmp_path / "aot.pth")}
    changes = {**start, "model": {"insert_levels": [4]}}
    propagator = build_propagator(propagator_recipe(**changes))
    assert (propagator.config.encoder, propagator.config.insert_levels) == ("resnet50", (4,))
    state = propagator.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in plain.state_dict().items())
    with pytest.raises(CoPropError, match="audio_weights is missing"):
        build_propagator(propagator_recipe(**changes, audio_weights=None))
    # A file that coprop wrote brings its ears along.
    torch.save(state, tmp_path / "own.pth")
    own = {**changes, "start": str(tmp_path / "own.pth"), "audio_weights": None}
    heard = build_propagator(propagator_recipe(**own)).state_dict()
    assert all(torch.equal(value, heard[name]) for name, value in state.items())


def test_audio_weights_are_read(tmp_path: Path) -> None:
    vggish = VGGish()
    torch.save(vggish.state_dict(), tmp_path / "vggish.pth")
    segmenter = build_segmenter(keyframe_recipe(audio_weights=str(tmp_path / "vggish.pth")), 1)
    name = "features.0.weight"
    assert torch.equal(segmenter.network.audio.state_dict()[name], vggish.state_dict()[name])
    recipe = propagator_recipe(
        model={**small_training.PROPAGATOR, "audio_encoder": "vggish"},
        audio_weights=str(tmp_path / "vggish.pth"),
        frozen=[],
    )
    own = build_propagator(recipe).state_dict()
    assert torch.equal(own[f"audio_insert.encoder.{name}"], vggish.state_dict()[name])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_weights": None}, "image_weights is missing"),
        ({"audio_weights": None}, "audio_weights is missing"),
        ({"image_weights": "/no/such.pth"}, "no checkpoint file at /no/such.pth"),
        ({"image_weights": "timm:no_such_network"}, "timm cannot give the weights"),
        ({"start": "/no/such/folder"}, "holds no keyframe_segmenter"),
        ({"start": "default"}, "model.architecture is 'audio_queried'"),
        ({"model": {"edge": 3}}, "takes an object with settings out of"),
        ({"model": {"architecture": "best"}}, "architecture must be one of"),
    ],
)
def test_segmenters_that_cannot_be_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CoPropError, match=message):
        build_segmenter(keyframe_recipe(**changes), 1)


def test_fresh_inserts_begin_as_the_same_propagator() -> None:
    """Table 5 compares levels: all start from weights that hear nothing yet, and so alike."""
    kept = AudioInsertPropagator.from_pretrained(model_folder("default", "propagator"))
    ears = "audio_insert.encoder."
    torch.manual_seed(0)
    frames = torch.rand(2, 1, 3, 65, 81)
    mask = torch.zeros(1, 65, 81, dtype=torch.uint8)
    mask[:, 10:40, 20:60] = 1
    seen = []
    for levels in ([], [4], [1, 2, 3, 4]):
        recipe = propagator_recipe(
            start="default", model={"insert_levels": levels}, audio_weights=None, fresh_insert=True
        )
        fresh = build_propagator(recipe)
        state = fresh.state_dict()
        plain = replace(kept.config, sound_gate=False)  # which the paper does not have
        assert fresh.config == replace(plain, insert_levels=tuple(levels))
        for name, tensor in kept.state_dict().items():
            if (name.startswith(ears) and levels) or not name.startswith("audio_insert."):
                assert torch.equal(state[name], tensor), name
        last = [x for n, x in state.items() if "audio_insert" in n and ".projection." in n]
        assert len(last) == (2 * len(levels) + 2 if levels else 0)
        assert not any(parameter.any() for parameter in last)
        sounds = torch.randn(2, 1, round(fresh.window_s * fresh.sample_rate))
        later = fresh.start(frames[0], sounds[0], mask)
        seen.append(fresh.step(frames[1], sounds[1], later)[0])
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])
    gated = build_propagator(replace(recipe, model={**recipe.model, "sound_gate": True}))
    assert gated.config.sound_gate
    names = [n for n, x in gated.state_dict().items() if ".sound_gate.projection." in n and x.any()]
    assert not names
    with_own = kept.step(frames[1], sounds[1], kept.start(frames[0], sounds[0], mask))[0]
    assert not torch.equal(seen[0], with_own)


def test_fresh_inserts_need_ears(tmp_path: Path) -> None:
    plain = propagator_recipe(model={**small_training.PROPAGATOR, "insert_levels": []})
    build_propagator(plain).save_pretrained(tmp_path)
    fresh = {"start": str(tmp_path), "model": {"insert_levels": [4]}, "fresh_insert": True}
    with pytest.raises(CoPropError, match="audio_weights is missing"):
        build_propagator(propagator_recipe(**fresh, audio_weights=None))
    assert build_propagator(propagator_recipe(**fresh)).config.insert_levels == (4,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fresh_insert": True}, "fresh_insert is for a folder"),
        ({"start": "default", "model": {"num_layers": 3}, "fresh_insert": True}, "num_layers=3"),
        ({"start": None}, "start is missing"),
        ({"start": "/no/such/folder"}, "holds no propagator"),
        ({"audio_weights": None}, "audio_weights is missing"),
        ({"start": "default"}, "but the weights default have"),
        ({"model": {"layers": 3}}, "unknown propagator settings"),
    ],
)
def test_propagators_that_cannot_be_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CoPropError, match=message):
        build_propagator(propagator_recipe(**changes))


def test_frozen_parts_must_be_there() -> None:
    for frozen, message in ((["neck"], "frozen names 'neck'"), ([""], "nothing to train")):
        recipe = propagator_recipe(frozen=frozen)
        with pytest.raises(CoPropError, match=message):
            PropagatorObjective(build_propagator(recipe), recipe)


def test_frozen_hearing_of_a_propagator_without() -> None:
    recipe = propagator_recipe(
        model={**small_training.PROPAGATOR, "insert_levels": []}, frozen=["audio_insert.encoder"]
    )
    PropagatorObjective(build_propagator(recipe), recipe)


def test_s4_trains_the_propagator(folder: Path, tmp_path: Path) -> None:
    recipe = propagator_recipe(steps=1, frames_per_clip=4)
    (loss,) = losses_of(recipe, S4(folder, "train"), tmp_path)
    assert 0 < loss < 10


def test_objectives_take_no_part_twice() -> None:
    """Every parameter that is said to learn has a gradient: processes would wait for one."""
    recipe = keyframe_recipe()
    objective = KeyframeObjective(build_segmenter(recipe, 1)).train()
    labels = torch.zeros(2, 32, 64)
    labels[:, 4:20] = 1
    loss = objective(torch.rand(2, 3, 32, 64), torch.randn(2, 16000), labels, torch.ones(2))
    loss.backward()
    without = [n for n, p in objective.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_a_clip_counts_the_same_however_many_frames_it_has() -> None:
    objective = KeyframeObjective(build_segmenter(keyframe_recipe(), 1)).eval()
    torch.manual_seed(0)
    clips = []
    for count in (1, 3):
        labels = (torch.rand(count, 32, 64) > 0.9 / count).to(torch.uint8)
        frames, sounds = torch.rand(count, 3, 32, 64), torch.randn(count, 16000)
        clips.append({"frames": frames, "sounds": sounds, "labels": labels})
    alone = [objective(**join_keyframes([clip])).item() for clip in clips]
    assert alone[0] != pytest.approx(alone[1], abs=0.05)
    together = objective(**join_keyframes(clips)).item()
    assert together == pytest.approx(sum(alone) / 2, abs=1e-5)
