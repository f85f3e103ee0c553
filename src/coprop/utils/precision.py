"""Where networks compute, and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, get_args

import torch
from torch import nn

from coprop.errors import CoPropError
from coprop.utils.brief import first_line
from coprop.utils.checks import shown

Precision = Literal["auto", "float32", "bfloat16", "float16"]
"""What networks compute in. "auto" is bfloat16 where the device multiplies matrices of it in
hardware, and float32 elsewhere."""

_CUDA_BFLOAT16 = 8  # major compute capability from which GPUs have it (Ampere); older ones emulate
_CPU_FLAGS = ("amx_bf16", "amx_tile", "avx512_bf16")  # any of them, as torch names them


def checked_device(value: Any) -> torch.device:
    """The device of a name, after trying it.

    Raises:
        CoPropError: no name of a device, or one that cannot be used here.
    """
    try:
        device = torch.device(value)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        raise CoPropError(
            "device must be one that computes here, such as 'cpu' or 'cuda', got "
            f"{shown(value)}: {first_line(error)}."
        ) from error
    return device


def as_dtype(value: object, device: torch.device) -> torch.dtype:
    """The type that a precision stands for on a device.

    Args:
        value: a `Precision`, or a type of torch that is one.
        device: where the networks are.

    Raises:
        CoPropError: anything else.

    >>> as_dtype("bfloat16", torch.device("cpu"))
    torch.bfloat16
    """
    name = str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else value
    if not isinstance(name, str) or name not in get_args(Precision):
        raise CoPropError(
            f"dtype must be one of {', '.join(map(repr, get_args(Precision)))}, or torch's own "
            f"type of that name, got {shown(value)}."
        )
    if name == "auto":
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    found: torch.dtype = getattr(torch, name)
    return found


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies matrices of bfloat16 in hardware.

    A GPU tells by its compute capability. A processor tells by its flags: AMX or AVX-512 BF16;
    without them bfloat16 is slower than float32.
    """
    if device.type == "cuda":
        major, _ = torch.cuda.get_device_capability(device)
        return major >= _CUDA_BFLOAT16 and torch.cuda.is_bf16_supported()
    if device.type != "cpu":
        return False
    if hasattr(torch.cpu, "get_capabilities"):
        known = torch.cpu.get_capabilities()
        return any(bool(known.get(flag, False)) for flag in _CPU_FLAGS)
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # of older versions
    return any(bool(getattr(torch.cpu, name, bool)()) for name in asked)


def computing_in(
    dtype: torch.dtype, device: torch.device, network: nn.Module | None = None
) -> AbstractContextManager[object]:
    """Lets what is called inside compute in a precision, with weights of float32.

    Layers that need float32 keep it (torch's autocast).

    Args:
        dtype: the precision.
        device: where the calls compute.
        network: what is called; where its weights have that precision, nothing is done.
    """
    if dtype == torch.float32 or _weights_are(dtype, network):
        return nullcontext()
    return torch.autocast(device.type, dtype)


def in_float32(device: torch.device) -> AbstractContextManager[object]:
    """For parts that half precision spoils: what is called inside computes as it is, in float32."""
    if device.type == "meta":  # where nothing is computed
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def _weights_are(dtype: torch.dtype, network: nn.Module | None) -> bool:
    first = None if network is None else next(network.parameters(), None)
    return first is not None and first.dtype == dtype
