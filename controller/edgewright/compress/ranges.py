"""Range methods: from a histogram to the (low, high) that 8 bits shall cover. Pure arithmetic.

Every range contains zero, as the runtime needs an exact zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgewright.compress.observers import Histogram
from edgewright.graph.session import Array

Range = tuple[float, float]

LEVELS_8BIT = 256
# Share of the values kept by the percentile method.
PERCENTILE = 99.99
# Candidates of the MSE method for each side: shares of the full range.
_SHARES = np.linspace(0.1, 1.0, 46)
_KL_QUANTIZED_BINS = 128
_KL_BINS = 2048
_KL_STEP = 4


def min_max(histogram: Histogram) -> Range:
    """The true extremes."""
    return _with_zero(histogram.low, histogram.high)


def percentile(histogram: Histogram, share: float = PERCENTILE) -> Range:
    """Cuts (100 - share) / 2 per cent of the values off each side that has values beyond zero."""
    edges, counts = histogram.edges, histogram.counts.astype(np.int64).copy()
    if counts.size == 0:
        return min_max(histogram)
    # Zeros lie at the edge 0; count them with the bin that starts there.
    counts[min(max(-histogram.first, 0), counts.size - 1)] += histogram.zeros
    cumulative = np.cumsum(counts)
    tail = cumulative[-1] * (100.0 - share) / 200.0
    lower = edges[int(np.searchsorted(cumulative, tail, side="right"))]
    upper = edges[int(np.searchsorted(cumulative, cumulative[-1] - tail, side="left")) + 1]
    return _with_zero(max(lower, histogram.low), min(upper, histogram.high))


def mse(histogram: Histogram) -> Range:
    """The range of least expected squared error, searched on a grid of shares of each side."""
    full_low, full_high = min_max(histogram)
    if histogram.counts.size == 0 or full_low == full_high:
        return full_low, full_high
    best, best_error = (full_low, full_high), expected_error(histogram, (full_low, full_high))
    lows = [0.0] if full_low == 0.0 else [full_low * share for share in _SHARES]
    highs = [0.0] if full_high == 0.0 else [full_high * share for share in _SHARES]
    if len(lows) > 1 and len(highs) > 1:
        # Coordinate search, twice: the sides are nearly independent.
        for _ in range(2):
            for low in lows:
                best, best_error = _better(histogram, best, best_error, (low, best[1]))
            for high in highs:
                best, best_error = _better(histogram, best, best_error, (best[0], high))
        return best
    for low in lows:
        for high in highs:
            best, best_error = _better(histogram, best, best_error, (low, high))
    return best


def kl(histogram: Histogram) -> Range:
    """Entropy calibration (Migacz, "8-bit Inference with TensorRT", GTC 2017) on a histogram around zero."""
    extreme = max(abs(histogram.low), abs(histogram.high))
    if histogram.counts.size == 0 or extreme == 0.0:
        return min_max(histogram)
    edges = np.linspace(-extreme, extreme, _KL_BINS + 1)
    centres = np.append(histogram.centres, 0.0)
    counts = np.append(histogram.counts, histogram.zeros)
    resampled, _ = np.histogram(np.clip(centres, -extreme, extreme), edges, weights=counts)
    threshold = kl_threshold(resampled, edges, _KL_QUANTIZED_BINS, _KL_STEP)
    return _with_zero(max(-threshold, histogram.low), min(threshold, histogram.high))


def kl_threshold(counts: Array, edges: Array, quantized_bins: int, step: int = 1) -> float:
    """Half-width of the symmetric cut whose quantised form diverges least from the distribution.

    `counts` has an even number of bins on `edges`, symmetric around zero; every `step`-th cut is tried.
    """
    middle, half = counts.size // 2, quantized_bins // 2
    counts = counts.astype(np.float64)
    best, best_divergence = float(edges[-1]), np.inf
    for reach in range(half, middle + 1, step):
        start, end = middle - reach, min(middle + reach + 1, counts.size)
        inside = counts[start:end]
        clipped = inside.copy()
        clipped[0] += counts[:start].sum()
        clipped[-1] += counts[end:].sum()
        divergence = _divergence(clipped, _coarse(inside, clipped != 0, quantized_bins))
        if divergence < best_divergence:
            best, best_divergence = float(edges[end]), divergence
    return best


METHODS: dict[str, Callable[[Histogram], Range]] = {
    "min_max": min_max,
    "percentile": percentile,
    "mse": mse,
    "kl": kl,
}


def quantization(bounds: Range, levels: int = LEVELS_8BIT) -> tuple[float, int]:
    """(scale, zero_point) of an asymmetric quantization of `bounds` to 0..levels-1."""
    low, high = _with_zero(*bounds)
    scale = (high - low) / (levels - 1)
    if scale == 0.0:
        return 1.0, 0
    return scale, int(np.clip(np.rint(-low / scale), 0, levels - 1))


def expected_error(histogram: Histogram, bounds: Range, levels: int = LEVELS_8BIT) -> float:
    """Sum of squared quantization errors of the histogram's values (taken at the bins' centres)."""
    scale, zero_point = quantization(bounds, levels)
    centres = histogram.centres
    quantised = np.clip(np.rint(centres / scale) + zero_point, 0, levels - 1)
    error = (quantised - zero_point) * scale - centres
    # Spread inside a bin: width^2 / 12, whatever the range.
    return float(histogram.counts @ (error * error))


def sqnr_db(histogram: Histogram, bounds: Range, levels: int = LEVELS_8BIT) -> float:
    """Signal to quantization noise ratio of a tensor, in dB."""
    signal = float(histogram.counts @ histogram.centres**2)
    noise = expected_error(histogram, bounds, levels)
    if noise == 0.0 or signal == 0.0:
        return 120.0
    return float(min(120.0, 10.0 * np.log10(signal / noise)))


def _better(histogram: Histogram, best: Range, best_error: float, bounds: Range) -> tuple[Range, float]:
    error = expected_error(histogram, bounds)
    return (bounds, error) if error < best_error else (best, best_error)


def _coarse(inside: Array, filled: Array, quantized_bins: int) -> Array:
    """`inside` merged to `quantized_bins`, spread again evenly over the bins that are not empty."""
    merged = inside.size // quantized_bins
    body = merged * quantized_bins
    sums = inside[:body].reshape(quantized_bins, merged).sum(axis=1)
    sums[-1] += inside[body:].sum()
    used = filled[:body].reshape(quantized_bins, merged).sum(axis=1)
    # Integer counts, as in the reference implementation.
    each = np.floor(np.divide(sums, used, out=np.zeros_like(sums), where=used > 0))
    spread = np.zeros(inside.size)
    spread[:body] = np.repeat(each, merged)
    return spread


def _divergence(reference: Array, other: Array) -> float:
    reference_smooth, other_smooth = _smooth(reference), _smooth(other)
    if reference_smooth is None or other_smooth is None:
        return float("inf")
    p, q = reference_smooth / reference_smooth.sum(), other_smooth / other_smooth.sum()
    return float(np.sum(p * np.log(p / q)))


def _smooth(counts: Array, epsilon: float = 1e-4) -> Array | None:
    """Takes a little from the filled bins for the empty ones; None where that cannot be done."""
    empty = counts == 0
    zeros, filled = int(empty.sum()), int((~empty).sum())
    if filled == 0:
        return None
    taken = epsilon * zeros / filled
    if taken >= 1.0:
        return None
    smoothed: Array = counts + epsilon * empty - taken * ~empty
    return smoothed


def _with_zero(low: float, high: float) -> Range:
    return min(float(low), 0.0), max(float(high), 0.0)
