"""A graph turned into a list of calls: operators bound, constants folded, dead tensors freed as soon as can be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import onnx
import torch
from torch import Tensor

from edgewright.compress.executor.dtypes import to_torch, type_name
from edgewright.compress.executor.fusion import fuse_activations
from edgewright.compress.executor.node import Node, Unsupported
from edgewright.compress.executor.registry import load_operators
from edgewright.compress.executor.step import Step
from edgewright.graph.opset import opset_of
from edgewright.graph.shapes import true_inputs
from edgewright_contract.errors import EdgewrightError, ErrorCode


@dataclass(frozen=True)
class Plan:
    """`constants` are those that steps or outputs read; what is trained is not among them."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    steps: tuple[Step, ...]
    constants: dict[str, Tensor]


class Refusal(EdgewrightError):
    """MODEL_UNSUPPORTED with the nodes it is about."""

    def __init__(self, problems: Counter[str], nodes: list[Any]) -> None:
        listed = ", ".join(f"{name} ({count})" for name, count in sorted(problems.items()))
        super().__init__(
            ErrorCode.MODEL_UNSUPPORTED,
            f"the network cannot be trained here, it has: {listed}",
            "levels without training (acc1) still work; to train, export the network without its post-processing, or "
            "replace these operators by those listed in docs/operators.md",
        )
        self.nodes = nodes


def make_plan(
    model: onnx.ModelProto,
    variables: Collection[str],
    fixed_statistics: Collection[str],
    precision: torch.dtype,
) -> Plan:
    """The plan of a graph. `variables` are constants whose values may change between calls: nothing made of them is
    folded. BatchNormalizations that read `fixed_statistics` never renew them.

    Raises Refusal, which lists every operator that is missing or asked for what it cannot do.
    """
    constants, types, problems = _held(model, variables, precision)
    operators, opset = load_operators(), opset_of(model)
    steps: list[Step] = []
    refused: list[Any] = []
    for proto in in_order(model):
        name = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}::{proto.op_type}"
        known = operators.get(name)
        if known is None:
            problems[name] += 1
            refused.append(proto)
            continue
        if proto.op_type == "Constant" and proto.output[0] in variables:
            continue
        try:
            node = Node(proto, opset, constants, precision, types)
            run = known.build(node)
        except Unsupported as reason:
            problems[str(reason)] += 1
            refused.append(proto)
            continue
        trains = known.trains and not (proto.op_type == "BatchNormalization" and proto.input[3] in fixed_statistics)
        step = Step(proto.name or f"{proto.op_type} -> {proto.output[0]}", proto.op_type, run, *_ports(proto), trains)
        if all(given in constants for given in step.inputs if given):
            _fold(step, constants)
        else:
            steps.append(step)
    if problems:
        raise Refusal(problems, refused)
    outputs = tuple(value.name for value in model.graph.output)
    needed = fuse_activations(_alive(steps, outputs), constants, outputs)
    inputs = tuple(value.name for value in true_inputs(model))
    read = {name for step in needed for name in step.inputs} | set(outputs)
    kept = {name: value for name, value in constants.items() if name in read}
    return Plan(inputs, outputs, tuple(_with_frees(needed, inputs, outputs)), kept)


def in_order(model: onnx.ModelProto) -> list[Any]:
    """The nodes so that each comes after those it reads; the file's own order where it is right already."""
    ready = {value.name for value in model.graph.input} | {tensor.name for tensor in model.graph.initializer} | {""}
    ready |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    waiting, ordered = list(model.graph.node), []
    while waiting:
        late = []
        for node in waiting:
            if all(name in ready for name in node.input):
                ordered.append(node)
                ready.update(node.output)
            else:
                late.append(node)
        if len(late) == len(waiting):
            missing = sorted({name for node in late for name in node.input if name not in ready})
            raise EdgewrightError(
                ErrorCode.MODEL_CORRUPT,
                f"nothing makes the tensors {', '.join(missing[:5])} that nodes of the graph read",
                "export the model again",
            )
        waiting = late
    return ordered


def _held(
    model: onnx.ModelProto, variables: Collection[str], precision: torch.dtype
) -> tuple[dict[str, Tensor], dict[str, int], Counter[str]]:
    """Constant initializers, the element types of all, and what cannot be held."""
    constants: dict[str, Tensor] = {}
    types: dict[str, int] = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    problems: Counter[str] = Counter()
    if model.graph.sparse_initializer:
        problems["sparse initializers"] += len(model.graph.sparse_initializer)
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            types[node.output[0]] = node.attribute[0].t.data_type
        if node.op_type == "Cast":
            types[node.output[0]] = next(item.i for item in node.attribute if item.name == "to")
    for tensor in model.graph.initializer:
        types[tensor.name] = tensor.data_type
        if tensor.name in variables:
            continue
        value = to_torch(tensor, precision)
        if value is None:
            problems[f"constants of type {type_name(tensor.data_type)}"] += 1
        else:
            constants[tensor.name] = value
    return constants, types, problems


def _ports(proto: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Inputs and outputs without the optional ones left out at the end."""
    inputs = list(proto.input)
    while inputs and not inputs[-1]:
        inputs.pop()
    return tuple(inputs), tuple(proto.output)


def _fold(step: Step, constants: dict[str, Tensor]) -> None:
    with torch.no_grad():
        result = step.run(*(constants[name] if name else None for name in step.inputs))
    results: Iterable[Tensor] = (result,) if isinstance(result, torch.Tensor) else result
    constants.update((name, value) for name, value in zip(step.outputs, results, strict=False) if name)


def _alive(steps: list[Step], outputs: Iterable[str]) -> list[Step]:
    """Steps that an output depends on."""
    wanted, alive = set(outputs), []
    for step in reversed(steps):
        if wanted.intersection(step.outputs):
            wanted.update(step.inputs)
            alive.append(step)
    return alive[::-1]


def _with_frees(steps: list[Step], inputs: Iterable[str], outputs: Iterable[str]) -> list[Step]:
    made = set(inputs) | {name for step in steps for name in step.outputs}
    last: dict[str, int] = {}
    for index, step in enumerate(steps):
        for name in (*step.outputs, *step.inputs):
            last[name] = index
    frees: dict[int, list[str]] = defaultdict(list)
    for name, index in last.items():
        if name in made and name and name not in outputs:
            frees[index].append(name)
    return [replace(step, frees=tuple(frees[index])) for index, step in enumerate(steps)]
