"""A training step of the executor against the same network written natively in torch.

    python benchmarks/executor_step.py [--batch 16] [--size 128] [--rounds 15]

Forward, backward and an SGD step, both networks in turn within each round; the figure is the median of the rounds'
ratios, with the quartiles. One thread. "folded" is the usual export, without BatchNorm, against the native network
with BatchNorm: a user's choice, not a fair race.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.executor.native import export, mobile_network, residual_network, silu  # noqa: E402

from edgewright.compress.executor.module import build_executor  # noqa: E402

LIMIT = 1.3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    networks = {
        "residual": lambda: residual_network(width=32, blocks=4),
        "mobile": lambda: mobile_network(width=16, blocks=8),
        "mobile, SiLU": lambda: mobile_network(width=16, blocks=8, activation=silu),
        "mobile, GELU": lambda: mobile_network(width=16, blocks=8, activation=torch.nn.GELU),
        "residual, tiny": residual_network,
        "mobile, tiny": mobile_network,
    }
    print(f"{'network':18}{'form':>8}{'native ms':>11}{'executor ms':>13}{'ratio':>7}  quartiles")
    worst = 0.0
    for name, make in networks.items():
        size = 32 if "tiny" in name else arguments.size
        for keep in (True, False):
            ratio = _row(name, make, keep, arguments.batch, size, arguments.rounds)
            worst = max(worst, ratio if keep else 0.0)
    print(f"worst ratio with equal layers: {worst:.2f} (at most {LIMIT} wanted)")
    return 0 if worst <= LIMIT else 1


def _row(name: str, make: Callable[[], torch.nn.Module], keep: bool, batch: int, size: int, rounds: int) -> float:
    torch.manual_seed(0)
    native = make()
    with tempfile.TemporaryDirectory() as folder:
        executor = build_executor(export(native, Path(folder) / "network.onnx", size, keep))
    images, labels = torch.randn(batch, 3, size, size), torch.randint(0, 10, (batch,))
    first = _step(native.train(), native.parameters(), images, labels)
    second = _step(executor.train(), executor.trainable.values(), images, labels)
    for _ in range(2):
        first(), second()
    times = [(first(), second()) for _ in range(rounds)]
    ratios = [b / a for a, b in times]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(
        f"{name:18}{'kept' if keep else 'folded':>8}{1e3 * statistics.median(a for a, _ in times):11.1f}"
        f"{1e3 * statistics.median(b for _, b in times):13.1f}{middle:7.2f}  {low:.2f} to {high:.2f}",
        flush=True,
    )
    return middle


def _step(
    network: torch.nn.Module, parameters: object, images: torch.Tensor, labels: torch.Tensor
) -> Callable[[], float]:
    optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)

    def step() -> float:
        begin = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        outputs = network(images)
        scores = outputs[0] if isinstance(outputs, tuple) else outputs
        torch.nn.functional.cross_entropy(scores, labels).backward()
        optimizer.step()
        return time.perf_counter() - begin

    return step


if __name__ == "__main__":
    sys.exit(main())
