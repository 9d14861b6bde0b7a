"""All samples of an input set through a network, in constant memory."""

from __future__ import annotations

import os
import shutil
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Callable

import numpy as np

from edgewright_agent.worker.feeding import feed, open_samples
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Normalization

if TYPE_CHECKING:
    from edgewright_agent.runtimes.base import Array, Session


class OutputFile:
    """One output's rows, appended to a .npy file whose header is known after the first row.

    A leading axis of length 1 is the batch and is dropped, so the file has shape [samples, ...].
    """

    def __init__(self, name: str, path: Path, samples: int) -> None:
        self.name = name
        self.path = path
        self._samples = samples
        self._shape: tuple[int, ...] | None = None
        self._dtype: np.dtype[np.generic] | None = None
        self._file: IO[bytes] = path.open("wb")

    def append(self, output: Array) -> None:
        row = output[0] if output.ndim > 0 and output.shape[0] == 1 else output
        if self._shape is None:
            self._shape, self._dtype = row.shape, row.dtype
            header = {
                "descr": np.lib.format.dtype_to_descr(row.dtype),
                "fortran_order": False,
                "shape": (self._samples, *row.shape),
            }
            np.lib.format.write_array_header_2_0(self._file, header)
        elif (row.shape, row.dtype) != (self._shape, self._dtype):
            raise EdgewrightError(
                ErrorCode.MODEL_UNSUPPORTED,
                f"output {self.name!r} changes from sample to sample: {self._shape}, then {row.shape}",
                "cut the post-processing off that selects a varying number of results",
            )
        self._file.write(np.ascontiguousarray(row).tobytes())

    def close(self) -> None:
        self._file.close()


def evaluate(
    session: Session,
    inputs: Path,
    normalization: Normalization,
    outputs: Path,
    progress: Callable[[int, int], None],
) -> int:
    """Runs every sample of `inputs` (.npy, samples along axis 0) alone, as batch 1, and writes `outputs`.

    outputs: an uncompressed .npz with one array an output, named as the network names it, samples along
    axis 0, dtype as the network gives it; quantised TFLite outputs are float32, dequantised with their scale
    and zero point. The file appears whole or not at all. Returns the number of samples.

    Raises EdgewrightError ARTIFACT_CORRUPT, SPEC_MISMATCH, MODEL_UNSUPPORTED; OSError when the disk is full.
    """
    samples = open_samples(inputs)
    total = int(samples.shape[0])
    part = outputs.with_name(outputs.name + ".part")
    rows = [outputs.with_name(f"{outputs.name}.{index}.npy") for index in range(len(session.outputs))]
    try:
        with ExitStack() as stack:
            files = []
            for spec, path in zip(session.outputs, rows):
                files.append(OutputFile(spec.name, path, total))
                stack.callback(files[-1].close)
            for index in range(total):
                results = session.run(feed(samples[index : index + 1], normalization, session))
                for file, result in zip(files, results):
                    file.append(result)
                progress(index + 1, total)
        _pack(files, part)
        part.replace(outputs)
    finally:
        for path in [*rows, part]:
            if path.exists():
                path.unlink()
    return total


def _pack(files: list[OutputFile], part: Path) -> None:
    with part.open("wb") as target:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for file in files:
                # A ZipInfo of our own: `write` would strip a leading slash from the output's name.
                entry = zipfile.ZipInfo(file.name + ".npy")
                with file.path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as member:
                    shutil.copyfileobj(source, member, 1 << 20)
                file.path.unlink()
        target.flush()
        os.fsync(target.fileno())
