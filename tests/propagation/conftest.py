"""Networks and recorded outputs of the official AOT, shared by the propagation tests."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from coprop.propagation import AudioInsertPropagator, PropagatorConfig

GOLDEN = Path(__file__).parents[1] / "golden"
Clip = tuple[Tensor, Tensor, Tensor]


def golden_tensor(key: str, shape: tuple[int, ...]) -> Tensor:
    """The weight that the recorded network had under this name, from the name alone."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
    noise = generator.standard_normal(shape)
    if key.endswith("running_var"):
        value = 1 + 0.1 * np.abs(noise)
    elif key.endswith("mask_token"):
        value = 0.02 * noise
    elif key.endswith(("running_mean", "relative_emb_v", ".bias")):
        value = 0.1 * noise
    elif len(shape) == 1:
        value = 1 + 0.1 * noise
    else:
        value = noise * (golden_gain(key) / math.sqrt(math.prod(shape[1:])))
    return torch.from_numpy(value.astype(np.float32))


def golden_gain(key: str) -> float:
    if key == "patch_wise_id_bank.weight":
        return 6.0
    if key.endswith(("linear_Q.weight", "linear_K.weight", "relative_emb_k.weight")):
        return 1.5
    return 2.0 if key == "decoder.conv_out.weight" else 1.0


def read_manifest(name: str) -> dict[str, tuple[int, ...]]:
    """Official parameter names and shapes, ``LSTT.mask_token`` included."""
    lines = (GOLDEN / f"{name}.keys.tsv").read_text().splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return {key: tuple(int(side) for side in shape.split("x")) for key, shape, _ in rows}


def official_state(name: str) -> dict[str, Tensor]:
    return {key: golden_tensor(key, shape) for key, shape in read_manifest(name).items()}


@pytest.fixture(scope="session")
def manifest() -> Callable[[str], dict[str, tuple[int, ...]]]:
    return read_manifest


@pytest.fixture(scope="session")
def aot_l_state() -> dict[str, Tensor]:
    return official_state("aotl_r50")


@pytest.fixture(scope="session")
def aot_t_state() -> dict[str, Tensor]:
    return official_state("aott_mbv2")


@pytest.fixture(scope="session")
def aot_l_golden() -> Mapping[str, Tensor]:
    return load_file(GOLDEN / "aotl_golden.safetensors")


@pytest.fixture(scope="session")
def aot_t_golden() -> Mapping[str, Tensor]:
    return load_file(GOLDEN / "aott_golden.safetensors")


@pytest.fixture(scope="session")
def aot_l(aot_l_state: dict[str, Tensor]) -> AudioInsertPropagator:
    return _without_audio(PropagatorConfig.aot_l(insert_levels=(), long_term_gap=2), aot_l_state)


@pytest.fixture(scope="session")
def aot_t(aot_t_state: dict[str, Tensor]) -> AudioInsertPropagator:
    return _without_audio(PropagatorConfig.aot_t(insert_levels=()), aot_t_state)


def _without_audio(config: PropagatorConfig, state: dict[str, Tensor]) -> AudioInsertPropagator:
    propagator = AudioInsertPropagator(config)
    own = propagator.state_dict()
    propagator.load_state_dict({key: value for key, value in state.items() if key in own})
    return propagator.eval()


def build_small(**changes: object) -> AudioInsertPropagator:
    """A propagator with weights drawn from a fixed seed, its audio modules silent."""
    config = PropagatorConfig.from_dict(
        {"embedding_dim": 32, "num_layers": 1, "num_heads": 4, "decoder_dim": 32, "insert_dim": 32}
        | {"long_term_gap": 2}
        | changes
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        propagator = AudioInsertPropagator(config).eval()
        # As initialised, identities are too faint for masks to matter.
        torch.nn.init.normal_(propagator.network.patch_wise_id_bank.weight, std=0.1)
    return propagator


def listening(propagator: AudioInsertPropagator) -> AudioInsertPropagator:
    """The propagator with audio modules that are not silent any more."""
    generator = torch.Generator().manual_seed(2)
    insert = propagator.network.audio_insert
    assert insert is not None
    for name, parameter in insert.named_parameters():
        if "projection" in name:
            torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    return propagator


@pytest.fixture(scope="session")
def small_factory() -> Callable[..., AudioInsertPropagator]:
    return build_small


@pytest.fixture(scope="session")
def small() -> AudioInsertPropagator:
    return build_small()


@pytest.fixture(scope="session")
def hearing() -> AudioInsertPropagator:
    """The small propagator, listening, as after training."""
    return listening(build_small())


@pytest.fixture
def clip() -> Clip:
    """Frames (2, 6, 3, 65, 81), audio (2, 6, 8000) and labels (2, 65, 81) of two objects."""
    generator = torch.Generator().manual_seed(1)
    frames = torch.rand(2, 6, 3, 65, 81, generator=generator)
    audio = 0.1 * torch.randn(2, 6, 8000, generator=generator)
    mask = torch.zeros(2, 65, 81, dtype=torch.long)
    mask[0, 10:40, 8:36], mask[0, 30:60, 50:75] = 1, 2
    mask[1, 20:60, 40:70], mask[1, 5:15, 5:30] = 1, 2
    return frames, audio, mask
