"""How to train, checked when it is given."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgewright_contract.errors import EdgewrightError, ErrorCode


@dataclass(frozen=True)
class TrainOptions:
    """At least one of `steps`, `epochs` and `budget_seconds` bounds the training; the first one reached ends it.

    `budget_seconds` covers everything, judging included; alone, it sets the number of steps by the pace of the first
    few. `lr` is Adam's rate after `warm_up_steps`, from where a cosine takes it to zero (None: 1e-4, 3e-4, 1e-3 and
    3e-3 are tried for a few steps each).

    `temperature` softens both sides of the KL divergence; `alpha` is the weight of the soft loss beside the labels'
    cross-entropy (None: 1 without labels, 0.9 with); `logit_weight` and `feature_weight` weigh matched logits and
    matched intermediate tensors against the KL divergence. `features` names those tensors as the teacher does (None:
    picked from the graph; empty: none).

    `evaluations` is how often the network is judged on the way. `micro_batch` is the most samples that go through at
    once (0: as many as keep below 1 GiB for the backward pass): gradients add up, memory does not. `batch_statistics`
    lets BatchNormalization use and renew the statistics of batches. `threads` 0 lets the libraries choose; only with 1
    is a run repeatable to the bit.
    """

    steps: int | None = None
    epochs: float | None = None
    budget_seconds: float | None = None
    lr: float | None = None
    warm_up_steps: int = 10
    temperature: float = 2.0
    alpha: float | None = None
    logit_weight: float = 1.0
    feature_weight: float = 0.5
    features: tuple[str, ...] | None = None
    evaluations: int = 8
    micro_batch: int = 0
    batch_statistics: bool = False
    max_gradient_norm: float = 10.0
    save_seconds: float = 60.0
    seed: int = 0
    threads: int = 0

    def __post_init__(self) -> None:
        if self.steps is None and self.epochs is None and self.budget_seconds is None:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID, "nothing says how long to train", "give steps, epochs or budget_seconds"
            )
        positive = ("steps", "epochs", "budget_seconds", "lr", "temperature", "evaluations", "max_gradient_norm")
        for name in (*positive, "save_seconds"):
            self._refuse(name, "above 0", lambda value: value > 0)
        self._refuse("lr", "at most 1e6", lambda value: value <= 1e6)
        for name in ("warm_up_steps", "logit_weight", "feature_weight", "micro_batch", "threads", "seed"):
            self._refuse(name, "0 or more", lambda value: value >= 0)
        self._refuse("alpha", "between 0 and 1", lambda value: 0 <= value <= 1)
        if self.features and not self.feature_weight:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"features {', '.join(self.features[:5])} are named, and feature_weight is 0",
                "give a feature_weight above 0, or name no features",
            )

    def _refuse(self, name: str, allowed: str, fits: object) -> None:
        value = getattr(self, name)
        if value is not None and not (math.isfinite(value) and fits(value)):  # type: ignore[operator]
            raise EdgewrightError(ErrorCode.OPTION_INVALID, f"{name} is {value!r}", f"it must be {allowed}")


def rate_factor(step: int, total: int | None, warm_up_steps: int) -> float:
    """What the rate of a step (from 0) is multiplied by: a linear warm-up, then a cosine to 0 at `total` (Loshchilov
    and Hutter 2017, SGDR, eq. 5, one cycle). `total` None: the end is not known yet, no decay.
    """
    if total is not None:
        warm_up_steps = min(warm_up_steps, total // 4)
    if step < warm_up_steps:
        return (step + 1) / (warm_up_steps + 1)
    if total is None:
        return 1.0
    done = (step - warm_up_steps) / max(total - warm_up_steps, 1)
    return 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
