"""Fashion-MNIST's files: read, checked, and its held-out part packed as a zipped imagefolder.

Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", 2017; MIT licence. The four .gz files are in Zalando's repository and in Debian's package
`dataset-fashion-mnist`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from edgewright_contract.errors import EdgewrightError, ErrorCode

# In the order of the published label numbers.
PUBLISHED_CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle-boot",
)
# An imagefolder numbers its classes in alphabetical order, and so does the network.
CLASSES = tuple(sorted(PUBLISHED_CLASSES))
IMAGES_A_CLASS = 400
_HEADER_BYTES = {"images": 16, "labels": 8}
# sha256 of the unpacked files: the packed ones differ between distributors.
_DIGESTS = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def read_part(folder: Path, part: str) -> tuple[Images, Labels]:
    """Images uint8 [N, 28, 28] and labels int64 [N] (numbered as in CLASSES) of `part`: "train" or "t10k".

    Raises FILE_NOT_FOUND, or DATASET_INVALID when a file is not the published one.
    """
    pixels = _unpack(folder, f"{part}-images-idx3-ubyte")[_HEADER_BYTES["images"] :]
    published = _unpack(folder, f"{part}-labels-idx1-ubyte")[_HEADER_BYTES["labels"] :]
    to_sorted = np.array([CLASSES.index(name) for name in PUBLISHED_CLASSES], dtype=np.int64)
    images = np.frombuffer(pixels, dtype=np.uint8).reshape(-1, 28, 28)
    return images, to_sorted[np.frombuffer(published, dtype=np.uint8)]


def _unpack(folder: Path, name: str) -> bytes:
    path = folder / f"{name}.gz"
    if not path.is_file():
        raise EdgewrightError(
            ErrorCode.FILE_NOT_FOUND,
            f"no {path.name} in {folder}",
            "get Fashion-MNIST's four .gz files, for example from Debian's package dataset-fashion-mnist",
        )
    content = gzip.decompress(path.read_bytes())
    digest = hashlib.sha256(content).hexdigest()
    if digest != _DIGESTS[name]:
        raise EdgewrightError(
            ErrorCode.DATASET_INVALID,
            f"{path} is not the published file: sha256 of its content is {digest}, expected {_DIGESTS[name]}",
            "fetch the file again",
        )
    return content


def held_out(test: tuple[Images, Labels], train_images: Images) -> list[tuple[str, int, Images]]:
    """(file name, label, image) of the images to ship: per class the first that training lacks."""
    seen = {image.tobytes() for image in train_images}
    chosen: list[tuple[str, int, Images]] = []
    counts = [0] * len(CLASSES)
    for number, (image, label) in enumerate(zip(*test, strict=True)):
        if counts[label] == IMAGES_A_CLASS or image.tobytes() in seen:
            continue
        seen.add(image.tobytes())
        counts[label] += 1
        chosen.append((f"{CLASSES[label]}/{number:05d}.png", int(label), image))
    return sorted(chosen, key=lambda item: item[0])


def write_zip(chosen: list[tuple[str, int, Images]], destination: Path) -> None:
    """Writes the images as PNG into a zipped imagefolder; equal images give an equal file."""
    partial = destination.with_suffix(".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for name, _, image in chosen:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "PNG", optimize=True)
            archive.writestr(zipfile.ZipInfo(name, (2017, 8, 25, 0, 0, 0)), buffer.getvalue())
    partial.replace(destination)
