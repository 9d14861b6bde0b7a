"""Who makes and who reads each tensor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import onnx


class GraphIndex:
    """Look-up tables over a graph that is not edited meanwhile. `initializers` may have several readers
    each.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes: list[onnx.NodeProto] = list(model.graph.node)
        self.initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self.outputs = {value.name for value in model.graph.output}
        self.producer: dict[str, onnx.NodeProto] = {}
        self.consumers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in node.output:
                if name:
                    self.producer[name] = node
            for name in filter(None, node.input):
                self.consumers[name].append(node)

    def activations(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that are computed or fed: neither empty nor an initializer."""
        return [name for name in names if name and name not in self.initializers]

    def readers(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Nodes that read any output of `node`."""
        return [reader for name in node.output for reader in self.consumers.get(name, [])]

    def makers(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Nodes that make any input of `node`."""
        return [self.producer[name] for name in node.input if name in self.producer]
