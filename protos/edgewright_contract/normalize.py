"""From stored samples to network input: the one code path of controller and agent.

numpy is imported inside the function, so that programs which only name this module stay light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Normalization

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

LAYOUTS = ("nchw", "nhwc", "")
FLOAT_DTYPES = ("float16", "float32", "float64")


def apply(samples: Array, normalization: Normalization, dtype: str) -> Array:
    """Network input of `dtype` for `samples`, sample by sample the same bits whatever the batch.

    samples: uint8, int8 or float, [N, H, W, C]; with an empty layout any [N, ...]. Images without a channel
    axis, [N, H, W], get one of length 1 when a layout is given. Images have values 0..255.
    dtype: a float: (x - mean) / std, each step rounded to float32, then cast. float64 holds float32 values;
    uint8: the samples unchanged, which must be uint8; int8: uint8 samples minus 128, int8 samples unchanged;
    other integers and bool: the samples unchanged, which must be of that dtype. Layout applies to all.
    Returns a C-contiguous array: [N, C, H, W] for "nchw", the samples' axes otherwise.

    Raises EdgewrightError SPEC_INVALID (layout, std) and SPEC_MISMATCH (axes, channels, dtypes).
    """
    import numpy as np

    if normalization.layout not in LAYOUTS:
        raise EdgewrightError(
            ErrorCode.SPEC_INVALID,
            f'layout is {normalization.layout!r}; allowed are "nchw", "nhwc" and ""',
            "correct input.layout in the spec file",
        )
    if normalization.layout and samples.ndim == 3:
        samples = samples[..., np.newaxis]
    if normalization.layout and samples.ndim != 4:
        raise EdgewrightError(
            ErrorCode.SPEC_MISMATCH,
            f"samples have shape {samples.shape}; layout {normalization.layout!r} needs images [N, H, W, C]",
            "leave input.layout empty for samples that are no images",
        )
    values = _as_float(samples, normalization, dtype) if dtype in FLOAT_DTYPES else _as_integer(samples, dtype)
    if normalization.layout == "nchw":
        values = values.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(values)


def _as_float(samples: Array, normalization: Normalization, dtype: str) -> Array:
    import numpy as np

    channels = samples.shape[-1] if samples.ndim > 1 else 1
    mean = _per_channel("mean", normalization.mean, 0.0, channels)
    std = _per_channel("std", normalization.std, 1.0, channels)
    if not (np.isfinite(std).all() and np.isfinite(mean).all() and (std != 0).all()):
        raise EdgewrightError(
            ErrorCode.SPEC_INVALID,
            f"mean {normalization.mean} and std {normalization.std} must be finite and std not zero",
            "correct input.mean and input.std in the spec file",
        )
    values = samples.astype(np.float32)
    values -= mean
    values /= std
    return values.astype(dtype, copy=False)


def _per_channel(name: str, given: tuple[float, ...], default: float, channels: int) -> Array:
    import numpy as np

    if len(given) not in (0, 1, channels):
        raise EdgewrightError(
            ErrorCode.SPEC_MISMATCH,
            f"{name} has {len(given)} values {given}; samples have {channels} channels",
            f"give input.{name} one value, or one a channel",
        )
    return np.asarray(given or (default,), dtype=np.float32)


def _as_integer(samples: Array, dtype: str) -> Array:
    import numpy as np

    if samples.dtype == np.dtype(dtype):
        return samples
    if dtype == "int8" and samples.dtype == np.uint8:
        # Flipping the top bit is subtracting 128.
        return (samples ^ np.uint8(0x80)).view(np.int8)
    raise EdgewrightError(
        ErrorCode.SPEC_MISMATCH,
        f"the network's input is {dtype}; samples of {samples.dtype} cannot become it without guessing",
        "give the samples in the network's dtype (images as uint8 for uint8 and int8 networks)",
    )
