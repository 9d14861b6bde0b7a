"""Run as a process: loads a TFLite file, runs it once on zeros and prints what it is as one JSON line.

Ends with status 1 and {"stage", "reason"} where the file is refused ("load": damaged; "run": cannot run here).
"""

from __future__ import annotations

import json
import sys
from math import prod
from pathlib import Path
from typing import Any

import numpy as np


def main(path: str) -> int:
    """The process' work; returns its exit status."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        data = Path(path).read_bytes()
        facts = _structure(data)
        interpreter = Interpreter(model_content=data, num_threads=1)
    except Exception as error:  # noqa: BLE001 - whatever a damaged file causes is the answer
        return _fail("load", error)
    try:
        interpreter.allocate_tensors()
        for item in interpreter.get_input_details():
            interpreter.set_tensor(item["index"], np.zeros(item["shape"], item["dtype"]))
        interpreter.invoke()
    except Exception as error:  # noqa: BLE001 - as above
        return _fail("run", error)
    facts["inputs"] = [_spec(item) for item in interpreter.get_input_details()]
    facts["outputs"] = [_spec(item) for item in interpreter.get_output_details()]
    print(json.dumps(facts))
    return 0


def _structure(data: bytes) -> dict[str, Any]:
    """Operators, constant elements and multiply-accumulates of the first subgraph."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data, 0)
    graph = model.Subgraphs(0)
    codes = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    numeric = {schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.INT8, schema.TensorType.UINT8}
    # Unpacking everything finds a file that was cut: the interpreter itself does not check every offset.
    schema.ModelT.InitFromObj(model)
    parameters = 0
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        if model.Buffers(tensor.Buffer()).DataLength() and tensor.Type() in (*numeric, schema.TensorType.INT32):
            shape = [tensor.Shape(axis) for axis in range(tensor.ShapeLength())]
            # int32 constants are biases in quantised files and shapes elsewhere; the latter are tiny.
            parameters += prod(shape)
    macs = 0
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        code = model.OperatorCodes(operator.OpcodeIndex())
        name = codes.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "")
        macs += _macs(name, operator, graph)
    return {"nodes": graph.OperatorsLength(), "parameters": parameters, "macs": macs, "notes": []}


def _macs(name: str, operator: Any, graph: Any) -> int:
    def shape(index: int) -> list[int]:
        tensor = graph.Tensors(index)
        return [tensor.Shape(axis) for axis in range(tensor.ShapeLength())]

    if name == "CONV_2D":  # weights [out, height, width, in]
        return prod(shape(operator.Outputs(0))) * prod(shape(operator.Inputs(1))[1:])
    if name == "DEPTHWISE_CONV_2D":  # weights [1, height, width, out]
        return prod(shape(operator.Outputs(0))) * prod(shape(operator.Inputs(1))[1:3])
    if name == "FULLY_CONNECTED":  # weights [out, in]
        return prod(shape(operator.Outputs(0))) * shape(operator.Inputs(1))[-1]
    if name == "TRANSPOSE_CONV":  # inputs: output shape, weights [out, height, width, in], data
        return prod(shape(operator.Inputs(2))) * prod(shape(operator.Inputs(1))[:3])
    return 0


def _spec(item: dict[str, Any]) -> str:
    signature = item.get("shape_signature", item["shape"])
    shape = [int(size) if size > 0 else "?" for size in (signature if len(signature) else item["shape"])]
    return json.dumps([item["name"], shape, np.dtype(item["dtype"]).name])


def _fail(stage: str, error: BaseException) -> int:
    text = str(error).strip().splitlines()
    print(json.dumps({"stage": stage, "reason": text[0] if text else type(error).__name__}))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
