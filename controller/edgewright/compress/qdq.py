"""Q/DQ insertion: our ranges and placement, onnxruntime's quantizer, which knows what its runtime fuses."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from edgewright.compress.placement import REMOVABLE_OPS, Placement
from edgewright.compress.ranges import Range
from edgewright.core.targets import Int8Policy
from edgewright.graph.batchnorm import drop_unused_initializers
from edgewright.graph.index import GraphIndex
from edgewright.graph.opset import LOWEST_KEPT, opset_of
from edgewright.graph.session import open_session
from edgewright.graph.shapes import skeleton
from edgewright_contract.errors import EdgewrightError, ErrorCode


@dataclass(frozen=True)
class FusedOps:
    """What onnxruntime makes of a Q/DQ graph on this machine: operators that run on 8 bits, and those
    left.
    """

    int8: dict[str, int]
    float_anchors: int
    conversions: int

    @property
    def convolutions(self) -> int:
        return self.int8.get("QLinearConv", 0)


def insert_qdq(
    model: onnx.ModelProto, placement: Placement, ranges: Mapping[str, Range], policy: Int8Policy
) -> onnx.ModelProto:
    """The Q/DQ form of `model` (which is used up). Weights: int8, symmetric, per channel; biases: int32.

    Raises COMPRESSION_FAILED for opsets below 13, which have no per-channel quantization.
    """
    if opset_of(model) < LOWEST_KEPT:
        raise EdgewrightError(
            ErrorCode.COMPRESSION_FAILED,
            f"INT8 needs opset {LOWEST_KEPT} or newer; the model has {opset_of(model)}",
            "export it again with opset 17",
        )
    if not placement.nodes:
        return model
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorData, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    _describe_tensors(model)
    bounds = {
        name: TensorData(lowest=np.float32(ranges[name][0]), highest=np.float32(ranges[name][1]))
        for name in placement.tensors
    }
    # A tensor folded into the activation after it is never quantised, but the quantizer asks for its range.
    for node in model.graph.node:
        if node.op_type in REMOVABLE_OPS and node.output[0] in bounds:
            bounds.setdefault(node.input[0], bounds[node.output[0]])
    with _silent_root_logger():
        quantizer = QDQQuantizer(
            model,
            True,
            policy.weight_bits < 8,
            QuantType.QInt8,
            QuantType.QInt8 if policy.activations_signed else QuantType.QUInt8,
            TensorsData(CalibrationMethod.MinMax, bounds),
            list(placement.nodes),
            [],
            list(placement.ops),
            {"ActivationSymmetric": policy.activations_symmetric, "WeightSymmetric": True},
        )
        quantizer.quantize_model()
    made: onnx.ModelProto = quantizer.model.model
    _release_products(made, placement)
    del made.graph.value_info[:]
    for key in [item for item in made.metadata_props if item.key == "onnx.infer"]:
        made.metadata_props.remove(key)
    made.producer_name, made.producer_version = "edgewright", ""
    return made


def fused_ops(path: Path) -> FusedOps:
    """Optimises the file as onnxruntime does when it loads it, and counts what became of its operators."""
    with tempfile.TemporaryDirectory(prefix="edgewright-fused-") as folder:
        target = Path(folder) / "optimised.onnx"
        open_session(path, threads=1, optimised=target)
        nodes = onnx.load(str(target), load_external_data=False).graph.node
    kinds = Counter(node.op_type for node in nodes)
    names = ("MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QGemm", "QAttention")
    int8 = {kind: count for kind, count in sorted(kinds.items()) if kind.startswith("QLinear") or kind in names}
    floats = sum(kinds[kind] for kind in ("Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"))
    return FusedOps(int8, floats, kinds["QuantizeLinear"] + kinds["DequantizeLinear"])


def _release_products(model: onnx.ModelProto, placement: Placement) -> None:
    """Takes Q and DQ off the result of matrix products that only float operators read, in place: onnxruntime has
    a kernel with float results, and scores or residuals keep all their digits."""
    index = GraphIndex(model)
    quantised = set(placement.nodes)
    removed: set[str] = set()
    for node in index.nodes:
        if node.op_type not in ("Gemm", "MatMul") or node.name not in quantised:
            continue
        quantizers = index.consumers.get(node.output[0], [])
        if len(quantizers) != 1 or quantizers[0].op_type != "QuantizeLinear" or node.output[0] in index.outputs:
            continue
        dequantizers = index.readers(quantizers[0])
        readers = [reader for item in dequantizers for reader in index.readers(item)]
        if any(reader.name in quantised for reader in readers) or not dequantizers:
            continue
        names = [item.output[0] for item in dequantizers]
        result = next((name for name in names if name in index.outputs), names[0])
        for reader in readers:
            for position, name in enumerate(reader.input):
                if name in names:
                    reader.input[position] = result
        node.output[0] = result
        removed.update(item.name for item in (quantizers[0], *dequantizers))
    kept = [node for node in model.graph.node if node.name not in removed]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    drop_unused_initializers(model)


def _describe_tensors(model: onnx.ModelProto) -> None:
    """Adds the types of all tensors, which the quantizer asks for, found without copying the weights."""
    inferred = onnx.shape_inference.infer_shapes(skeleton(model), data_prop=True)
    del model.graph.value_info[:]
    model.graph.value_info.extend(inferred.graph.value_info)
    mark = model.metadata_props.add()
    mark.key, mark.value = "onnx.infer", "onnxruntime.quant"


class _silent_root_logger:  # noqa: N801 - used as a with statement
    """The quantizer reports through the root logger; what matters is in our result."""

    def __enter__(self) -> None:
        self._before = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.disable(self._before)
