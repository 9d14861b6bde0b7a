"""Recipes: named compression steps with checked parameters, as TOML or as built-in levels. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tomllib

from edgewright.core.recipe_fields import Place, limit, listed, parameter, refused, unknown, word, words
from edgewright_contract.errors import EdgewrightError, ErrorCode

IMPORTANCES = ("fisher", "surgeon", "taylor", "l1", "l2", "fpgm")
RANGES = ("min_max", "percentile", "mse", "kl")


@dataclass(frozen=True)
class Simplify:
    """Folds constants and BatchNorm and drops what does nothing. Imports do this already."""


@dataclass(frozen=True)
class Prune:
    """Removes channel groups in rounds, each repaired and judged, until the goal is reached or the bound would
    break. One of the three ratios is the goal.
    """

    macs_ratio: float | None = parameter(
        None, limit(0.05, 1.0), "multiply-accumulates that stay, as a share of the original's"
    )
    size_ratio: float | None = parameter(None, limit(0.05, 1.0), "bytes of the file that stay, met within 0.5 %")
    parameters_ratio: float | None = parameter(None, limit(0.05, 1.0), "parameters that stay")
    importance: str = parameter("fisher", word(IMPORTANCES), "what is removed first: that which matters least by this")
    round_share: float = parameter(0.06, limit(0.01, 1.0), "share of the original removed in one round")
    alignment: int = parameter(8, limit(1, 64, whole=True), "widths become multiples of this")
    least_kept: float = parameter(0.25, limit(0.01, 1.0), "share of each group's channels that always stays")
    sensitivity: bool = parameter(True, None, "measure each group's sensitivity first, and weigh groups by it")
    reconstruct: bool = parameter(True, None, "least-squares repair of the weights that read removed channels")
    repair_steps: int = parameter(100, limit(0, 1_000_000, whole=True), "training steps after each round")
    slack: float = parameter(4.0, limit(0.0, 100.0), "points beyond the bound that later training may win back")
    keep: tuple[str, ...] = parameter((), words(), "channel groups that stay whole, by id")


@dataclass(frozen=True)
class Distill:
    """Trains the network to give the original's outputs. Never ends worse than it began."""

    steps: int | None = parameter(
        None, limit(1, 10_000_000, whole=True), "training steps; none: as many as the time allows"
    )
    batch: int | None = parameter(
        None, limit(1, 4096, whole=True), "images in a step; none: 64 with 2000 images or more, else 16"
    )
    rate: float | None = parameter(
        None, limit(1e-8, 1.0), "highest learning rate; none: several are tried for a few steps"
    )
    temperature: float = parameter(2.0, limit(0.1, 100.0), "softens class probabilities (Hinton et al. 2015)")
    label_weight: float = parameter(0.1, limit(0.0, 1.0), "share of the loss on labels, where there are labels")
    shift: float = parameter(0.125, limit(0.0, 0.5), "images are moved by up to this share of their side")
    flip: bool = parameter(False, None, "mirror half of the images; not for digits, text or signs")


@dataclass(frozen=True)
class Quantize:
    """INT8 after training; the layers whose quantisation hurts most stay float until the bound holds."""

    methods: tuple[str, ...] = parameter(RANGES, listed(RANGES), "ways to choose ranges that compete")
    bias_correction: bool = parameter(True, None, "also try the winner with corrected biases")
    keep_float: tuple[str, ...] = parameter((), words(), "layers that stay float, by node name")
    minimum_sqnr_db: float = parameter(15.0, limit(0.0, 120.0), "bound for networks that are no classifiers")


@dataclass(frozen=True)
class Qat:
    """Trains the quantised network itself, scales included. Never ends worse than it began."""

    steps: int | None = parameter(
        None, limit(1, 10_000_000, whole=True), "training steps; none: as many as the time allows"
    )
    batch: int = parameter(16, limit(1, 4096, whole=True), "images in a step")
    weight_rate: float = parameter(1e-5, limit(1e-9, 1e-1), "highest learning rate of weights")
    scale_rate: float = parameter(2e-4, limit(1e-9, 1e-1), "highest learning rate of log-scales")


@dataclass(frozen=True)
class Fp16:
    """Half-precision weights: half the file, no faster on CPUs."""


Step = Simplify | Prune | Distill | Quantize | Qat | Fp16

STEPS: Mapping[str, type[Step]] = {
    "simplify": Simplify,
    "prune": Prune,
    "distill": Distill,
    "quantize": Quantize,
    "qat": Qat,
    "fp16": Fp16,
}
_LAST = ("quantize", "qat", "fp16")


@dataclass(frozen=True)
class Recipe:
    """`steps` in order, and the most points (of 100) of the metric that the whole may lose. The bound wins over
    the goals of the steps.
    """

    name: str
    steps: tuple[Step, ...]
    max_drop: float
    summary: str = ""

    def has(self, kind: type[Step]) -> bool:
        return any(isinstance(step, kind) for step in self.steps)

    @property
    def step_names(self) -> tuple[str, ...]:
        return tuple(name_of(step) for step in self.steps)

    @property
    def trains(self) -> bool:
        """Whether any step looks at gradients."""
        return any(isinstance(step, (Prune, Distill, Qat)) for step in self.steps)


def name_of(step: Step) -> str:
    """The step's name in a recipe file."""
    return next(name for name, kind in STEPS.items() if type(step) is kind)


def parse_recipe(text: str, name: str, origin: str) -> Recipe:
    """The recipe in a TOML text; `origin` (a file's name) leads every message.

    Raises RECIPE_INVALID with the path to the wrong key, its value and what is allowed.
    """
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise EdgewrightError(
            ErrorCode.RECIPE_INVALID, f"{origin} is not TOML: {error}", "docs/recipes.md shows a whole recipe"
        ) from error
    return recipe_from_dict(data, name, origin)


def recipe_from_dict(data: Mapping[str, Any], name: str, origin: str) -> Recipe:
    """As `parse_recipe`, from the tables; the inverse of `recipe_to_dict`."""
    place = Place(origin)
    known = ("summary", "max_drop", "steps")
    for key in data:
        if key not in known:
            raise unknown(place, key, known)
    summary = data.get("summary", "")
    if not isinstance(summary, str):
        raise refused(place.down("summary"), summary, "a text")
    max_drop = limit(0.0, 100.0)(place.down("max_drop"), data.get("max_drop", 1.0))
    tables = data.get("steps", [])
    if not isinstance(tables, list) or not tables:
        raise refused(place.down("steps"), tables, "one or more tables [[steps]], each with step = NAME")
    steps = tuple(_step(place.down(f"steps[{index}]"), table) for index, table in enumerate(tables))
    _check_order(place, steps)
    return Recipe(name, steps, max_drop, summary)


def recipe_to_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON's types with every parameter written out, in the words of the file."""
    return {
        "summary": recipe.summary,
        "max_drop": recipe.max_drop,
        "steps": [{"step": name_of(step), **_parameters(step)} for step in recipe.steps],
    }


def recipe_to_toml(recipe: Recipe) -> str:
    """A recipe file that gives the same recipe, each parameter with its meaning beside it."""
    lines = [f"summary = {_toml(recipe.summary)}", f"max_drop = {_toml(recipe.max_drop)}  # points of the metric"]
    for step in recipe.steps:
        lines += ["", "[[steps]]", f"step = {_toml(name_of(step))}"]
        for field in dataclasses.fields(step):
            value = getattr(step, field.name)
            mark = "# " if value is None else ""
            shown = (1 if "int" in str(field.type) else 0.5) if value is None else value
            lines.append(f"{mark}{field.name} = {_toml(shown)}  # {field.metadata['text']}")
    return "\n".join(lines) + "\n"


def parameters_of(kind: type[Step]) -> list[dict[str, Any]]:
    """Name, default, allowed values and meaning of each parameter, for documentation."""
    return [
        {
            "name": field.name,
            "default": list(field.default) if isinstance(field.default, tuple) else field.default,
            "allowed": getattr(field.metadata["read"], "allowed", "true or false"),
            "text": field.metadata["text"],
        }
        for field in dataclasses.fields(kind)
    ]


def _step(place: Place, table: Any) -> Step:
    if not isinstance(table, Mapping):
        raise refused(place, table, "a table with step = NAME")
    if "step" not in table:
        raise refused(place.down("step"), None, ", ".join(STEPS))
    name = table["step"]
    if not isinstance(name, str) or name not in STEPS:
        raise unknown(place.down("step"), str(name), tuple(STEPS), "unknown step")
    kind = STEPS[name]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key == "step":
            continue
        if key not in fields:
            raise unknown(place, str(key), tuple(fields), f"unknown parameter of {name}")
        values[key] = _read(place.down(key), value, fields[key].metadata["read"])
    step = kind(**values)
    if isinstance(step, Prune):
        _check_prune(place, step)
    return step


def _read(place: Place, value: Any, read: Any) -> Any:
    if read is not None:
        return read(place, value)
    if not isinstance(value, bool):
        raise refused(place, value, "true or false")
    return value


def _check_prune(place: Place, step: Prune) -> None:
    given = [name for name in ("macs_ratio", "size_ratio", "parameters_ratio") if getattr(step, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise EdgewrightError(
            ErrorCode.RECIPE_INVALID,
            f"{place}: prune has one goal, {found} given",
            "give exactly one of macs_ratio, size_ratio and parameters_ratio, for example macs_ratio = 0.7",
        )


def _check_order(place: Place, steps: tuple[Step, ...]) -> None:
    """Float steps come first; qat trains what quantize made; quantize and fp16 exclude one another."""
    names = [name_of(step) for step in steps]
    rules = (
        (names.count("quantize") + names.count("fp16") > 1, "a file is made quantize or fp16, and once"),
        ("qat" in names and "quantize" not in names[: names.index("qat")], "qat comes after quantize"),
        (
            any(name in _LAST and later not in _LAST for name, later in zip(names, names[1:], strict=False)),
            "simplify, prune and distill come before quantize, qat and fp16",
        ),
        (names.count("prune") > 1, "prune stands once: it works in rounds by itself"),
    )
    for broken, text in rules:
        if broken:
            raise EdgewrightError(
                ErrorCode.RECIPE_INVALID, f"{place.origin}: steps are {', '.join(names)}; {text}", "change their order"
            )


def _parameters(step: Step) -> dict[str, Any]:
    values = {field.name: getattr(step, field.name) for field in dataclasses.fields(step)}
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in values.items() if value is not None
    }


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return f'"{escaped}"'
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    assert not isinstance(value, float) or math.isfinite(value)
    return repr(value)
