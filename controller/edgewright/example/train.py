"""Trains the example's network and writes the shipped files: `python -m edgewright.example.train --data DIR`.

Seeded, CPU only. Results repeat to the last digit only on one kind of CPU with one number of threads, as sums
are taken in another order elsewhere; accuracy repeats within a few tenths of a point.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.nn import functional

from edgewright.example import files
from edgewright.example.images import CLASSES, Images, Labels, held_out, read_part, write_zip
from edgewright.example.network import make_network
from edgewright_contract.errors import EdgewrightError

# Mean and deviation of the training pixels on the 0..255 scale; the spec named "example" has the same.
MEAN, STD = 72.94, 90.02
BATCH, PEAK_RATE, MOMENTUM, WEIGHT_DECAY, SMOOTHING, SHIFT = 128, 0.2, 0.9, 5e-4, 0.05, 2
OPSET = 17


def augmented(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image [N, 1, 28, 28] mirrored at random and the batch shifted by up to SHIFT pixels."""
    mirror = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    images = torch.where(mirror, images.flip(3), images)
    down, right = torch.randint(0, 2 * SHIFT + 1, (2,), generator=generator).tolist()
    padded = functional.pad(images, (SHIFT, SHIFT, SHIFT, SHIFT), value=-MEAN / STD)
    return padded[:, :, down : down + 28, right : right + 28]


def as_input(images: Images) -> torch.Tensor:
    return torch.from_numpy((images.astype(np.float32) - MEAN) / STD)[:, None]


def train(images: Images, labels: Labels, epochs: int, seed: int, bf16: bool) -> nn.Module:
    """A trained network in evaluation mode; one line of progress an epoch on stderr."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = make_network(len(CLASSES)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=PEAK_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
    )
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=epochs * steps, pct_start=0.25)
    inputs, targets = as_input(images), torch.from_numpy(labels)
    for epoch in range(epochs):
        started, total = time.monotonic(), 0.0
        order = torch.randperm(len(images), generator=generator)
        network.train()
        for step in range(steps):
            rows = order[step * BATCH : (step + 1) * BATCH]
            batch = augmented(inputs[rows], generator).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = network(batch)
            loss = functional.cross_entropy(logits.float(), targets[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        seconds = time.monotonic() - started
        print(f"epoch {epoch + 1} of {epochs}: loss {total / steps:.4f}, {seconds:.0f} s", file=sys.stderr)
    return network.eval()


def export(network: nn.Module, destination: Path) -> None:
    """Writes ONNX with a free batch size; batch normalisation is folded into the convolutions."""
    partial = destination.with_suffix(".part")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the newer exporter cannot write OPSET
        torch.onnx.export(
            network.to(memory_format=torch.contiguous_format),
            (torch.zeros(1, 1, 28, 28),),
            str(partial),
            opset_version=OPSET,
            dynamo=False,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        )
    partial.replace(destination)


def accuracy(model: Path, images: Images, labels: Labels) -> float:
    """Top-1 of the exported file, run by onnxruntime."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    inputs = as_input(images).numpy()
    hits = 0
    for start in range(0, len(images), 250):
        (logits,) = session.run(None, {"image": inputs[start : start + 250]})
        hits += int((logits.argmax(1) == labels[start : start + 250]).sum())
    return hits / len(images)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m edgewright.example.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of Fashion-MNIST's four .gz files")
    parser.add_argument("--out", type=Path, default=files().model.parent, help="where the files are written")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--float32", action="store_true", help="no bfloat16: for CPUs without AVX512-BF16 or AMX")
    parser.add_argument("--images", type=int, default=0, help="train on the first N images only (0: all)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        train_images, train_labels = read_part(options.data, "train")
        test_images, test_labels = read_part(options.data, "t10k")
    except EdgewrightError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return error.exit_status
    chosen = held_out((test_images, test_labels), train_images)
    options.out.mkdir(parents=True, exist_ok=True)
    model, archive = options.out / files().model.name, options.out / files().dataset.name
    write_zip(chosen, archive)
    started = time.monotonic()
    count = options.images or len(train_images)
    network = train(train_images[:count], train_labels[:count], options.epochs, options.seed, not options.float32)
    seconds = round(time.monotonic() - started)
    export(network, model)
    shipped = np.stack([image for _, _, image in chosen]), np.array([label for _, label, _ in chosen])
    facts = {
        "network": model.name,
        "network_sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "network_bytes": model.stat().st_size,
        "images": archive.name,
        "images_sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "images_count": len(chosen),
        "accuracy_images": accuracy(model, *shipped),
        "accuracy_all_10000_test_images": accuracy(model, test_images, test_labels),
        "training": {
            "images": count,
            "epochs": options.epochs,
            "seed": options.seed,
            "threads": options.threads,
            "bfloat16": not options.float32,
            "seconds": seconds,
            "torch": torch.__version__,
        },
    }
    (options.out / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
