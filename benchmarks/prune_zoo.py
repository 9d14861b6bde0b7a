"""Prunes every network of the assets by a ratio, proves each with the oracle, and writes the table of docs/pruning.md.

    python benchmarks/prune_zoo.py                      all networks
    python benchmarks/prune_zoo.py resnet18 vgg11_bn    these
    python benchmarks/prune_zoo.py --write              and writes the table

The zoo holds structures with random weights: this says what can be pruned and that it is done right, nothing about
accuracy. Other files can be added with --also FILE or FILE:HEIGHTxWIDTH.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgewright.compress.prune.importance import WEIGHT_SCORES, weight_importance
from edgewright.compress.prune.oracle import OracleResult, check_pruning, pruning_feeds
from edgewright.compress.prune.removal import Removal
from edgewright.compress.prune.selection import uniform
from edgewright.compress.prune.surgery import prune
from edgewright.graph.channels.analysis import ChannelAnalysis, analyse
from edgewright.graph.channels.facts import gather_facts
from edgewright.graph.cost import count_macs, count_parameters
from edgewright.graph.model_file import load_model
from edgewright.imports.onnx_file import import_onnx
from edgewright_contract.errors import EdgewrightError

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "pruning.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
HEADER = (
    "| network | parameters | groups | prunable | parameters left | MACs left | error / moved (oracle) "
    "| what stays, and why |"
)
# Reasons for less than this share of a network's parameters are summed up as "other".
SMALL_SHARE = 0.001


@dataclass
class Row:
    """What became of one network; `failure` where something went wrong."""

    name: str
    parameters: int = 0
    groups: int = 0
    share: float = 0.0
    kept_parameters: float = 0.0
    kept_macs: float = 0.0
    results: list[OracleResult] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    failure: str = ""
    seconds: float = 0.0


def main() -> int:
    options = _options()
    assets = Path(options.assets)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.imported) if options.imported else Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name, path, size in _networks(assets, folder, options):
            rows.append(_try(name, path, size, Path(scratch), options))
            print(_line(rows[-1]), flush=True)
            if options.write:
                _write(rows[-1], options)
            if not options.imported:
                path.unlink()
    failed = [row for row in rows if row.failure]
    print(f"{len(rows) - len(failed)} of {len(rows)} networks pass the oracle at ratio {options.ratio}")
    for row in failed:
        print(f"  {row.name}: {row.failure}")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", help="networks (all when none is given)")
    parser.add_argument("--assets", default=os.environ.get("EDGEWRIGHT_ASSETS", ROOT.parent / "shared" / "assets"))
    parser.add_argument("--imported", help="folder where imported networks are kept and found again")
    parser.add_argument("--also", action="append", default=[], help="another ONNX file, FILE or FILE:HEIGHTxWIDTH")
    parser.add_argument("--ratio", type=float, default=0.3, help="of every group (0.3)")
    parser.add_argument("--alignment", type=int, default=1, help="kept widths are multiples of this (1)")
    parser.add_argument("--score", choices=sorted(WEIGHT_SCORES), default="l2")
    parser.add_argument("--trials", type=int, default=1, help="further removals, random channels at random ratios")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.relative_to(ROOT)}")
    return parser.parse_args()


def _networks(
    assets: Path, folder: Path, options: argparse.Namespace
) -> Iterator[tuple[str, Path, tuple[int, int] | None]]:
    """Name, imported file and input size, one after the other."""
    zoo = sorted(path.name.removesuffix(".onnx.gz") for path in assets.glob("zoo/*.onnx.gz"))
    real = {
        f"{path.stem}_trained" if path.stem in zoo else path.stem: path
        for path in sorted(assets.glob("models/**/*.onnx"))
    }
    specification = importlib.util.spec_from_file_location("materialise", assets / "zoo" / "materialise.py")
    assert specification is not None
    assert specification.loader is not None
    materialise = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(materialise)
    wanted = options.names or [*real, *zoo]
    unknown = sorted(set(wanted) - {*real, *zoo})
    if unknown:
        sys.exit(f"no network {', '.join(unknown)}; there are {', '.join([*real, *zoo])}")
    for name in wanted:
        target = folder / f"{name}.onnx"
        if not target.exists() and name in real:
            import_onnx(real[name], target)
        elif not target.exists():
            source = folder / f"{name}.raw"
            materialise.materialise(assets / "zoo" / f"{name}.onnx.gz", source)
            import_onnx(source, target)
            source.unlink()
        yield name, target, None
    for item in options.also:
        file, _, sides = item.partition(":")
        size = tuple(int(side) for side in sides.split("x")) if sides else None
        target = folder / f"{Path(file).stem}.onnx"
        if not target.exists():
            import_onnx(Path(file), target, input_size=(size[0], size[1]) if size else None)
        yield Path(file).stem, target, (size[0], size[1]) if size else None


def _try(name: str, path: Path, size: tuple[int, int] | None, scratch: Path, options: argparse.Namespace) -> Row:
    started = time.perf_counter()
    row = Row(name)
    try:
        _prune(row, path, size, scratch, options)
    except EdgewrightError as error:
        row.failure = error.message
    row.seconds = time.perf_counter() - started
    return row


def _prune(row: Row, path: Path, size: tuple[int, int] | None, scratch: Path, options: argparse.Namespace) -> None:
    model = load_model(path)
    analysis = analyse(model, size)
    row.parameters, row.groups, row.share = count_parameters(model), len(analysis.groups), analysis.prunable_share
    for item in analysis.protected:
        row.reasons[_short(item.reason)] += item.parameters
    macs, _ = count_macs(model, gather_facts(model, size).shapes)
    feeds = pruning_feeds(model, size)
    score = WEIGHT_SCORES[options.score]
    removal = uniform(analysis, lambda group: weight_importance(model, group, score), options.ratio, options.alignment)
    rng = np.random.default_rng(len(row.name))
    removals: list[Removal] = [removal, *(_random(analysis, rng) for _ in range(options.trials))]
    for index, wanted in enumerate(removals):
        made = prune(path, wanted, scratch / "pruned.onnx", analysis, size)
        if index == 0:
            row.kept_parameters, row.kept_macs = made.parameters / row.parameters, made.macs / max(macs, 1)
        row.results.append(check_pruning(path, wanted, made.path, feeds, analysis, size))


def _random(analysis: ChannelAnalysis, rng: np.random.Generator) -> Removal:
    """Random channels, each group at a ratio of its own from 0 to 0.8."""
    return {
        group.id: rng.permutation(group.size)[: int(rng.uniform(0, 0.8) * group.size)].tolist()
        for group in analysis.groups
    }


def _short(reason: str) -> str:
    """Without names: `normalised over these channels (LayerNormalization)`."""
    if reason.startswith("network output"):
        return "network output"
    return re.sub(r"\((\w+)[^)]*\)$", r"(\1)", reason)


def _reasons(row: Row) -> str:
    large = [(reason, count) for reason, count in row.reasons.most_common() if count >= SMALL_SHARE * row.parameters]
    rest = sum(row.reasons.values()) - sum(count for _, count in large)
    parts = [f"{reason} {100 * count / row.parameters:.1f} %" for reason, count in large]
    if rest and (parts or rest >= SMALL_SHARE * row.parameters):
        parts.append(f"other {100 * rest / row.parameters:.1f} %")
    return "; ".join(parts) or "below 0.1 %"


def _oracle(row: Row) -> str:
    if row.failure:
        return f"**failed**: {row.failure}"
    first = row.results[0]
    worst = max(result.error for result in row.results)
    notes = [str(result.kind.value) for result in row.results[:1]]
    if first.precision != "float32":
        notes.append(first.precision)
    if first.twin:
        notes.append("twin")
    return f"{worst:.0e} / {first.moved:.2g} ({', '.join(notes)})"


def _line(row: Row) -> str:
    return (
        f"{row.name:32s} {row.seconds:6.1f} s  groups {row.groups:4d}  prunable {100 * row.share:5.1f} %  "
        f"parameters {100 * row.kept_parameters:5.1f} %  MACs {100 * row.kept_macs:5.1f} %  {_oracle(row)}"
    )


def _write(row: Row, options: argparse.Namespace) -> None:
    """Puts one network's row into the page; rows of other networks stay."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    table, after = rest.split(END)
    rows = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ")}
    header = rows.pop("network", HEADER)
    rows[row.name] = (
        f"| {row.name} | {row.parameters:,} | {row.groups} | {100 * row.share:.1f} % "
        f"| {100 * row.kept_parameters:.1f} % | {100 * row.kept_macs:.1f} % | {_oracle(row)} | {_reasons(row)} |"
    )
    passed = sum("**failed**" not in line for line in rows.values())
    lines = [
        f"{passed} of {len(rows)} networks pass at ratio {options.ratio} of every group, kept widths multiples of "
        f"{options.alignment}.",
        "",
        header,
        "|" + "---|" * (header.count("|") - 1),
        *(rows[name] for name in sorted(rows)),
    ]
    PAGE.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
