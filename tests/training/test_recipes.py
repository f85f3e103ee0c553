"""Recipes: those that come with coprop build their models; whatever is wrong in one is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from coprop.errors import CheckpointError, CoPropError
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.training.initial_weights import model_folder, propagator_config, segmenter_config
from coprop.training.recipes import (
    KeyframeRecipe,
    PropagatorRecipe,
    config_names,
    read_recipe,
    recipe_from,
)

GOOD = {"stage": "keyframes", "epochs": 1}
GOOD_2 = {"stage": "propagator", "steps": 1}


def test_there_is_one_for_every_row() -> None:
    """Table 1's backbones, fine-tuned or not (table 2a), and table 5's levels; two for CPUs."""
    parts = ("resnet50", "pvt_v2")
    assert set(config_names()) == {
        *(f"keyframes_{name}" for name in parts),
        *(f"keyframes_{name}_finetuned" for name in parts),
        *("propagator_aot", "propagator_1_layer", "propagator_4_layers"),
        *("keyframes_composed", "propagator_composed"),
    }


@pytest.mark.parametrize("name", config_names())
def test_configs_build_their_models(name: str) -> None:
    visual = {"resnet50": "resnet50", "pvt_v2": "pvt_v2_b5"}
    levels = {"aot": (), "1_layer": (4,), "4_layers": (1, 2, 3, 4), "composed": (1, 2, 3, 4)}
    stage, _, variant = name.partition("_")
    if stage == "keyframes":
        recipe = read_recipe(KeyframeRecipe, "keyframes", name)
        with torch.device("meta"):
            segmenter = KeyframeSegmenter(segmenter_config(recipe, 71))
        own = visual.get(variant.removesuffix("_finetuned"))
        if own is not None:
            assert segmenter.config.audio_queried.visual == own
            assert segmenter.config.audio_queried.num_classes == 71
            assert (recipe.learning_rate, recipe.batch_size) == (1e-4, 4)
            assert recipe.epochs == (20 if variant.endswith("_finetuned") else 100)
        else:
            assert segmenter.config.architecture == "grounded"
        assert recipe.key_frames == ("rcpg" if variant.endswith("_finetuned") else "all")
    else:
        two = read_recipe(PropagatorRecipe, "propagator", name)
        with torch.device("meta"):
            propagator = AudioInsertPropagator(propagator_config(two))
        assert propagator.config.insert_levels == levels[variant]
        own_encoder = "efficientnet_lite0" if variant == "composed" else "resnet50"
        assert propagator.config.encoder == own_encoder


def test_homes_of_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ``start=`` no shell says where that is."""
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "mine.json").write_text(json.dumps({**GOOD, "audio_weights": "~/vggish.pth"}))
    changes = ["start=~/runs/final", "llm=http://localhost/v1"]
    recipe = read_recipe(KeyframeRecipe, "keyframes", tmp_path / "mine.json", changes)
    assert recipe.start == "/home/me/runs/final"
    assert recipe.audio_weights == "/home/me/vggish.pth"
    assert recipe.llm == "http://localhost/v1"
    for name in ("", "\0"):
        with pytest.raises(CheckpointError, match="the folder to start from"):
            model_folder(name, "propagator")


def test_changes_are_put_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({**GOOD, "model": {"working_edge": 5}}), encoding="utf-8")
    recipe = read_recipe(
        KeyframeRecipe,
        "keyframes",
        path,
        [
            *("batch_size=2", "learning_rate=1", "start=runs/a=b/final", "size=[64,96]"),
            *("augment=false", "model.audio_queried.visual=pvt_v2_b5", "frames_per_clip=null"),
        ],
    )
    assert (recipe.batch_size, recipe.learning_rate, recipe.augment) == (2, 1.0, False)
    assert (recipe.start, recipe.size) == ("runs/a=b/final", (64, 96))
    assert recipe.model == {"working_edge": 5, "audio_queried": {"visual": "pvt_v2_b5"}}
    assert recipe_from(KeyframeRecipe, recipe.to_dict()) == recipe
    assert json.loads(json.dumps(recipe.to_dict())) == recipe.to_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("batch_size", "--set takes key=value"),
        ("=3", "--set takes key=value"),
        ("batchsize=3", "unknown settings batchsize; known are"),
        ("batch_size=2.5", "batch_size must be a whole number, got 2.5"),
        ("batch_size=true", "batch_size must be a whole number, got True"),
        ("batch_size=0", "batch_size must be at least 1"),
        ("learning_rate=fast", "learning_rate must be a number, got 'fast'"),
        ("learning_rate=0", "learning_rate and clip_norm must be positive"),
        ("learning_rate=NaN", "learning_rate must be a number"),
        ("augment=1", "augment must be true or false, got 1"),
        ("start=3", "start must be a string or null, got 3"),
        ("size=64", "size must be a list, got 64"),
        ("size=[64]", r"size must be \[height, width\]"),
        ("size=[64,8]", r"size must be \[height, width\]"),
        ('size=[64,"x"]', "each of size must be a whole number"),
        ("precision=fp8", "precision must be one of"),
        ("steps=5", "a number of epochs or of steps"),
        ("epochs=null", "a number of epochs or of steps"),
        ("ema_ratio=2", "ema_ratio must lie in"),
        ("seed=-1", "seed must be at least 0"),
        ("model=3", "model must be an object"),
        ("seed.x=3", "seed.x: seed holds no settings"),
        ("key_frames=best", "key_frames must be one of"),
        ("stage=propagator", "is for the stage 'propagator', not 'keyframes'"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, change: str, message: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({**GOOD, "seed": 1}), encoding="utf-8")
    with pytest.raises(CoPropError, match=message):
        read_recipe(KeyframeRecipe, "keyframes", path, [change])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames_per_clip": 1}, "a sequence has two frames"),
        ({"frames_per_clip": None}, "a sequence has two frames"),
        ({"long_term_gap": 0}, "long_term_gap >= 1"),
        ({"teacher_forcing": 1.5}, "teacher_forcing must lie in"),
        ({"told": 1.5}, "teacher_forcing must lie in"),
        ({"warm_up": -0.1}, "warm_up must lie in"),
        ({"encoder_ratio": 2}, "encoder_ratio must lie in"),
        ({"insert_ratio": 0}, "insert_ratio must be above 0"),
        ({"lowest_learning_rate": 1.0}, "lowest_learning_rate <= learning_rate"),
        ({"weight_decay": -1}, "weight_decay >= 0"),
        ({"frozen": [3]}, "each of frozen must be a string"),
        ({"architecture": "aot_b"}, "architecture must be one of"),
        ({"image_weights": "x"}, "unknown settings image_weights"),
    ],
)
def test_what_is_wrong_in_stage_two(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CoPropError, match=message):
        recipe_from(PropagatorRecipe, {**GOOD_2, **changes})


def test_former_names_of_settings_are_taken() -> None:
    recipe = read_recipe(PropagatorRecipe, "propagator", "propagator_composed", ["told=0.25"])
    assert recipe.teacher_forcing == 0.25
    assert "told" not in recipe.to_dict()


def test_the_mark_that_editors_of_windows_write(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(GOOD_2), encoding="utf-8-sig")
    assert read_recipe(PropagatorRecipe, "propagator", path).steps == 1


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match=r"no config nothing.json; .* keyframes_composed"):
        read_recipe(KeyframeRecipe, "keyframes", "nothing.json")
    for content, message in (("{", "is not JSON"), ("[1]", "one JSON object")):
        path = tmp_path / "bad.json"
        path.write_text(content, encoding="utf-8")
        with pytest.raises(CoPropError, match=message):
            read_recipe(KeyframeRecipe, "keyframes", path)
    with pytest.raises(CoPropError, match="there is no config"):
        read_recipe(KeyframeRecipe, "keyframes", tmp_path)
