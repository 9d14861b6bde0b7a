"""The operator set version a model is kept at."""

from __future__ import annotations

import onnx

from edgewright.graph.shapes import skeleton
from edgewright_contract.errors import EdgewrightError, ErrorCode

OLDEST_OPSET = 9
# Per-channel QuantizeLinear came with 13; onnxruntime 1.19.2 on old boards reads up to 21 and IR version 10.
LOWEST_KEPT, HIGHEST_KEPT, HIGHEST_IR = 13, 21, 10


def newest_opset() -> int:
    """The newest operator set of the installed onnx package."""
    return int(onnx.defs.onnx_opset_version())


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the standard operator set (0 when the model names none)."""
    return max((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), default=0)


def check_opset(model: onnx.ModelProto) -> None:
    """Raises MODEL_OPSET_UNSUPPORTED outside 9..newest."""
    found, newest = opset_of(model), newest_opset()
    if not OLDEST_OPSET <= found <= newest:
        raise EdgewrightError(
            ErrorCode.MODEL_OPSET_UNSUPPORTED,
            f"the model uses opset {found}; supported are {OLDEST_OPSET} to {newest}",
            "export it again with opset 17",
        )


def move_opset(model: onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    """The model with its opset in 13..21 and IR version at most 10, and what could not be done ("": all
    done).

    Only the structure goes through the version converter; large weights stay where they are.
    """
    found = opset_of(model)
    target = min(max(found, LOWEST_KEPT), HIGHEST_KEPT)
    if target == found:
        if model.ir_version <= HIGHEST_IR:
            return model, ""
        lowered = onnx.ModelProto()
        lowered.CopyFrom(model)
        lowered.ir_version = HIGHEST_IR
        return lowered, ""
    try:
        moved = onnx.version_converter.convert_version(skeleton(model), target)
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        if found > HIGHEST_KEPT and _unchanged_below(model, target):
            moved = skeleton(model)
            _set_opset(moved, target)
        else:
            reason = str(error).strip().splitlines()[0][:160]
            return model, f"opset {found} kept: it cannot be converted to {target} ({reason})"
    _restore_weights(moved, model)
    moved.ir_version = min(max(moved.ir_version, 8), HIGHEST_IR)
    return moved, ""


def _set_opset(model: onnx.ModelProto, version: int) -> None:
    for item in model.opset_import:
        if item.domain in ("", "ai.onnx"):
            item.version = version


def _unchanged_below(model: onnx.ModelProto, target: int) -> bool:
    """Whether every operator exists with the same attributes and inputs at `target`: later versions of most
    operators only added element types."""
    found = opset_of(model)
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            continue
        try:
            new = onnx.defs.get_schema(node.op_type, found, "")
            old = onnx.defs.get_schema(node.op_type, target, "")
        except onnx.defs.SchemaError:
            return False
        used = {attribute.name for attribute in node.attribute}
        if new.since_version != old.since_version and (
            not used <= set(old.attributes) or len(new.inputs) != len(old.inputs)
        ):
            return False
    return True


def _restore_weights(moved: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """Puts back the large initializers that `skeleton` had turned into inputs."""
    held = {tensor.name for tensor in moved.graph.initializer}
    names = {tensor.name for tensor in model.graph.initializer}
    kept = [value for value in moved.graph.input if value.name not in names or value.name in held]
    listed = {value.name for value in model.graph.input}
    kept = [value for value in kept if value.name in listed]
    del moved.graph.input[:]
    moved.graph.input.extend(kept)
    moved.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name not in held)
