"""Small images for tests."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (12, 10)  # width, height


def png(seed: int, mode: str = "RGB", size: tuple[int, int] = SIZE) -> bytes:
    """Bytes of a PNG whose pixels differ with `seed`."""
    channels = {"RGB": 3, "RGBA": 4, "L": 1, "LA": 2}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def write_tree(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def two_classes(count: int = 3) -> dict[str, bytes]:
    """`cat` and `dog`, `count` images each."""
    return {
        f"{name}/{number}.png": png(100 * index + number)
        for index, name in enumerate(("cat", "dog"))
        for number in range(count)
    }
