"""Preprocessed images as one .npy file, written and read as a stream: what is pushed to an agent."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edgewright.core.values import InputSpec, ProgressCallback, ProgressEvent, Sample, no_progress
from edgewright.datasets.decode import quiet_decoding
from edgewright.datasets.source import ImageSource
from edgewright.tasks.pixels import Array, known_size, load_pixels, normalization_of
from edgewright_contract import normalize
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.files import sync_folder
from edgewright_contract.values import Normalization

__all__ = ["load_pixels", "network_batches", "normalization_of", "write_input_set"]

THREADS, CHUNK = 2, 32


def write_input_set(
    destination: Path,
    source: ImageSource,
    samples: Sequence[Sample],
    spec: InputSpec,
    progress: ProgressCallback = no_progress,
) -> int:
    """Writes uint8 [N, H, W, C] to `destination`, samples in the given order; returns the number of bytes.

    Memory does not grow with N. The file appears only when it is whole. Raises DATASET_EMPTY, SPEC_INVALID,
    DATASET_CHANGED, DISK_FULL.
    """
    if not samples:
        raise EdgewrightError(ErrorCode.DATASET_EMPTY, "no images to preprocess", "add images first")
    known_size(spec)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{destination.name}.", dir=destination.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _write(stream, source, samples, spec, progress)
            stream.flush()
            os.fsync(stream.fileno())
            size = stream.tell()
        Path(temporary).replace(destination)
        sync_folder(destination.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EdgewrightError(
                ErrorCode.DISK_FULL,
                f"no space left for the preprocessed images in {destination.parent}",
                "free some space, or move the home folder with --home",
            ) from error
        raise
    return size


def network_batches(path: Path, normalization: Normalization, dtype: str, batch: int) -> Iterator[Array]:
    """The file's samples as network input of `dtype`, `batch` at a time (the last may be smaller)."""
    samples = np.load(path, mmap_mode="r", allow_pickle=False)
    for start in range(0, len(samples), batch):
        yield normalize.apply(np.asarray(samples[start : start + batch]), normalization, dtype)


def _write(
    stream: BinaryIO,
    source: ImageSource,
    samples: Sequence[Sample],
    spec: InputSpec,
    progress: ProgressCallback,
) -> None:
    # Written as bytes, not through a memory map: a full disk is then an error and not a signal that kills.
    first = load_pixels(source.open(samples[0]), spec)
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(samples), *first.shape)}
    np.lib.format.write_array_header_1_0(stream, header)
    done = 0
    with quiet_decoding(), ThreadPoolExecutor(THREADS, "preprocess") as pool:
        for start in range(0, len(samples), CHUNK):
            chunk = samples[start : start + CHUNK]
            for pixels in pool.map(lambda sample: load_pixels(source.open(sample), spec), chunk):
                stream.write(pixels.data)
            done += len(chunk)
            progress(ProgressEvent("preprocessing images", done, len(samples)))
