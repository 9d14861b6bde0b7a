"""One run of a training: its loop, its judgements, its saves."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgewright.compress.goal import Goal
from edgewright.compress.judge import Bench, Judge, Judgement
from edgewright.compress.train.batches import Batches, BatchStream, batches_an_epoch
from edgewright.compress.train.checkpoint import CheckpointFolder, refuse_other
from edgewright.compress.train.distiller import Distiller
from edgewright.compress.train.optimiser import Optimiser
from edgewright.compress.train.options import TrainOptions, rate_factor
from edgewright.compress.train.plan import PACE_STEPS, Plan
from edgewright.compress.train.rate_trial import choose_rate
from edgewright.compress.train.result import (
    Evaluation,
    TrainedModel,
    evaluation_from_plain,
    is_better,
)
from edgewright.compress.train.student import Student, restore, snapshot
from edgewright.core.plain import to_plain
from edgewright.core.values import ProgressCallback, ProgressEvent
from edgewright.graph.files import atomic_file
from edgewright.graph.model_file import load_model
from edgewright_contract.errors import EdgewrightError, ErrorCode

# Steps in a row whose loss or gradient is not finite end a training.
_MOST_BAD_STEPS = 5


class TrainingRun:
    """Prepared by its constructor, which judges the start; `finish` trains to the end and writes the best.

    `folder` holds the best network so far, and the state where `keeps` is set: `identity` says of which training.
    """

    def __init__(
        self,
        student: Student,
        start: Path,
        teacher: Path,
        batches: Batches,
        judge: Judge,
        options: TrainOptions,
        folder: Path,
        keeps: bool,
        identity: Mapping[str, Any],
        progress: ProgressCallback,
    ) -> None:
        self._student, self._start, self._options, self._progress = student, start, options, progress
        self._batches, self._identity, self._keeps = batches, dict(identity), keeps
        self._plan = Plan(options, self._asked_steps())
        probe = BatchStream(batches, options.seed).take()
        self._distiller = Distiller(
            student, load_model(start), load_model(teacher), probe, judge.classification, options
        )
        student.executor.train(options.batch_statistics)
        self._bench = Bench(teacher, judge, options.threads)
        self._goal = Goal(0.0, 0.0, self._bench.samples, self._bench.baseline_metric())
        self._optimiser = Optimiser(student, options.max_gradient_norm)
        self._folder = CheckpointFolder(folder)
        self._step = self._best_step = self._good = self._bad = 0
        self._losses: list[float] = []
        self._stopped = ""
        self._history: list[Evaluation] = []
        self._stream = BatchStream(batches, options.seed)
        self._rate = 1.0
        if not self._resume():
            self._judge_start()
            self._choose_rate()

    def finish(self, destination: Path) -> TrainedModel:
        """Trains until steps or time are used up."""
        saved = self._plan.clock()
        while not self._stopped:
            began = self._plan.clock()
            self._one_step()
            self._plan.timed(self._plan.clock() - began)
            planned = self._plan.total
            if planned is None and self._step >= PACE_STEPS:
                self._plan.renew(self._step)
            self._stopped = self._reason_to_stop()
            judged = self._plan.judgement_due(self._step) or bool(self._stopped)
            if judged:
                self._judge_now()
                self._plan.renew(self._step)
                self._stopped = self._stopped or self._reason_to_stop()
            due = self._plan.clock() - saved > self._options.save_seconds
            if self._keeps and (judged or due or planned != self._plan.total):
                self._save()
                saved = self._plan.clock()
            self._progress(ProgressEvent("training", self._step, self._plan.total or 0))
        return self._write(destination)

    def _asked_steps(self) -> int | None:
        options = self._options
        asked = [] if options.steps is None else [options.steps]
        if options.epochs is not None:
            asked.append(max(1, round(options.epochs * batches_an_epoch(self._batches, options.seed))))
        return min(asked, default=None)

    def _one_step(self) -> None:
        batch = self._stream.take()
        factor = self._rate * rate_factor(self._step, self._plan.total, self._options.warm_up_steps)
        self._step += 1
        self._optimiser.clear()
        if self._options.batch_statistics:
            # Dropout, where a graph has one, draws from here: a resumed run must draw the same.
            torch.manual_seed(self._options.seed * 1_000_003 + self._step)
        loss = self._distiller.backward(batch)
        if math.isfinite(loss) and self._optimiser.step(factor):
            self._student.project()
            self._losses.append(loss)
            self._good, self._bad = self._good + 1, 0
        else:
            self._bad += 1

    def _reason_to_stop(self) -> str:
        if self._bad >= _MOST_BAD_STEPS:
            if not self._good:
                raise EdgewrightError(
                    ErrorCode.MODEL_NOT_FINITE,
                    f"the loss or its gradient was NaN or infinite in each of the first {self._bad} steps",
                    "check that weights and images are finite (mean and std in the spec), or lower the learning rate",
                )
            return (
                f"the loss or its gradient was NaN or infinite {self._bad} steps in a row, at step {self._step}; "
                "a lower learning rate may help"
            )
        if self._plan.total is not None and self._step >= self._plan.total:
            return "all steps are done" if self._plan.fixed else "the time is used up"
        return "the time is used up" if self._plan.out_of_time() else ""

    def _judge_start(self) -> None:
        began = self._plan.clock()
        judgement = self._bench.judge_file(self._start, self._progress, "judging the start")
        self._plan.judged(self._plan.clock() - began)
        self._history.append(Evaluation(0, self._plan.seconds, None, judgement))
        if self._plan.out_of_time():
            self._stopped = "the time was used up before the first step"

    def _choose_rate(self) -> None:
        if self._options.lr is None and not self._stopped:
            self._progress(ProgressEvent("trying learning rates"))
            self._rate = choose_rate(self._student, self._distiller, self._batches, self._options, self._plan)
        if self._keeps:
            self._save()

    def _judge_now(self) -> None:
        began = self._plan.clock()
        path = self._folder.best_path(self._step)
        try:
            self._student.write(path)
        except EdgewrightError as error:
            if error.code != ErrorCode.MODEL_NOT_FINITE:
                raise
            # What was good before is still there.
            self._stopped = f"training diverged by step {self._step}: {error.message}; a lower learning rate may help"
            return
        with np.errstate(all="ignore"):  # what has diverged is judged too, and loses
            judgement = self._bench.judge_file(path, self._progress, "judging")
        self._plan.judged(self._plan.clock() - began)
        loss = float(np.mean(self._losses)) if self._losses else None
        self._losses = []
        by_metric = self._distiller.alpha < 1.0 and judgement.metric is not None
        if is_better(judgement, self._best, self._history[0].judgement, self._goal, by_metric):
            if not self._keeps and self._best_step:
                self._folder.best_path(self._best_step).unlink()
            self._best_step = self._step
        else:
            path.unlink()
        self._history.append(Evaluation(self._step, self._plan.seconds, loss, judgement))

    @property
    def _best(self) -> Judgement:
        return next(item.judgement for item in self._history if item.step == self._best_step)

    def _save(self) -> None:
        weights = {f"weight/{name}": value for name, value in snapshot(self._student).items()}
        facts = {
            "identity": self._identity,
            "step": self._step,
            "epoch": self._stream.epoch,
            "index": self._stream.index,
            "best_step": self._best_step,
            "rate": self._rate,
            "good": self._good,
            "bad": self._bad,
            "losses": self._losses,
            "stopped": self._stopped,
            "plan": self._plan.facts(),
            "history": to_plain(self._history),
        }
        self._folder.save({**weights, **self._optimiser.arrays()}, facts, self._best_step)

    def _resume(self) -> bool:
        found = self._folder.load()
        if found is None:
            return False
        arrays, facts = found
        refuse_other(facts["identity"], self._identity, self._folder.folder)
        restore(self._student, {name[len("weight/") :]: arrays[name] for name in arrays if name.startswith("weight/")})
        self._optimiser.load(arrays)
        self._plan.load(facts["plan"])
        self._step, self._best_step, self._losses = facts["step"], facts["best_step"], list(facts["losses"])
        self._rate = facts["rate"]
        self._good, self._bad, self._stopped = facts["good"], facts["bad"], facts["stopped"]
        self._history = [evaluation_from_plain(item) for item in facts["history"]]
        if not self._stopped:
            self._stream = BatchStream(self._batches, self._options.seed, facts["epoch"], facts["index"])
        return True

    def _write(self, destination: Path) -> TrainedModel:
        source = self._folder.best_path(self._best_step) if self._best_step else self._start
        with atomic_file(destination) as temporary:
            shutil.copyfile(source, temporary)
        return TrainedModel(
            size_bytes=destination.stat().st_size,
            steps=self._step,
            planned_steps=self._plan.total or self._step,
            epochs=self._stream.epoch,
            seconds=self._plan.seconds,
            best_step=self._best_step,
            start=self._history[0].judgement,
            best=self._best,
            history=tuple(self._history),
            lr=self._rate * (self._options.lr or self._student.base_rate),
            alpha=self._distiller.alpha,
            features=tuple(item.teacher for item in self._distiller.features),
            executor_difference=self._distiller.difference,
            stopped_because=self._stopped,
        )
