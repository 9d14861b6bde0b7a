"""The executor: a torch module that runs an ONNX graph, its weights as parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, overload

import onnx
import onnx.inliner
import torch
from torch import Tensor

from edgewright.compress.executor.dtypes import to_torch, torch_type
from edgewright.compress.executor.free_batch import fixed_batch, same_in_a_batch, with_free_batch
from edgewright.compress.executor.parameters import find_weights
from edgewright.compress.executor.plan import Plan, Refusal, make_plan
from edgewright.compress.executor.step import Step
from edgewright.compress.executor.tail import without_tail
from edgewright.compress.executor.write_back import constant_tensors, write_weights
from edgewright.graph.model_file import load_model
from edgewright.graph.shapes import concrete_shapes, random_probe
from edgewright_contract.errors import EdgewrightError, ErrorCode

Outputs = tuple[Tensor, ...]


def build_executor(
    model: Path | onnx.ModelProto,
    device: str = "cpu",
    extra_trainable: Collection[str] = (),
    precision: torch.dtype = torch.float32,
    free_batch: bool = True,
) -> Executor:
    """The network of a file or message (which is never changed), in evaluation mode.

    `extra_trainable` are constants to be parameters besides the weights, for example scales of Q/DQ pairs.
    `precision` is what FLOAT is computed in; float64 tells a wrong operator from an ill-conditioned network.
    A graph that was exported for one batch size is made to run with any, where that can be done and two samples at once
    prove it (`fixed_batch` of the result is 0 then); `free_batch` False leaves it as it is.

    Raises MODEL_UNSUPPORTED with the name of every operator that is missing (unless all of them come after the last
    weight), OPTION_INVALID for a name in `extra_trainable` that is no float constant, and what `load_model` raises.
    """
    source = load_model(model) if isinstance(model, Path) else model
    executor: Executor = Executor(source, extra_trainable, precision).eval()
    if free_batch and executor.fixed_batch and executor.roles:
        executor = _freed(executor, source, extra_trainable, precision)
    executor.to(device)
    return executor


def _freed(executor: Executor, source: onnx.ModelProto, extra: Collection[str], precision: torch.dtype) -> Executor:
    """The same network for any batch where that works, else `executor`."""
    form = with_free_batch(onnx.inliner.inline_local_functions(source) if source.functions else source)
    if form is None:
        return executor
    shapes = concrete_shapes(source)
    drawn = [random_probe(source, shapes, seed, uniform=seed == 0) for seed in (0, 1)]
    first, second = (tuple(torch.from_numpy(feed[name]) for name in executor.input_names) for feed in drawn)
    try:
        freed: Executor = Executor(source, extra, precision, form).eval()
        if same_in_a_batch(executor, freed, (first, second)):
            return freed
        # Where outputs hardly depend on the input, rounding hides what is asked.
        exact = Executor(source, extra, torch.float64).eval()
        exactly_freed = Executor(source, extra, torch.float64, form).eval()
        return freed if same_in_a_batch(exact, exactly_freed, (first, second)) else executor
    except EdgewrightError:  # the rewritten form does not run
        return executor


class Executor(torch.nn.Module):  # type: ignore[misc] # torch is untyped
    """`trainable` maps the ONNX name of each weight to its parameter, `roles` to what it is (weight, bias, scale,
    shift, slope, or extra). `statistics` are the running means and variances that training mode renews. Where several
    BatchNormalizations read the same ones (`fixed_statistics` has the means), nobody can say whose they are: these
    layers always use what the file holds.

    Inputs are positional, in the order of `input_names`; float inputs may have any float type.

    A post-processing tail that cannot run here (NonMaxSuppression, loops) is left out where no weight comes after it:
    `removed` then has the operators' names, and `output_names` the tensors that the tail reads. What is written back
    is the whole network all the same. `fixed_batch` is the only batch size that runs; 0: any.
    """

    def __init__(
        self,
        source: onnx.ModelProto,
        extra_trainable: Collection[str],
        precision: torch.dtype,
        form: onnx.ModelProto | None = None,
    ) -> None:
        """`form` is what runs instead of `source`: the same graph in another form, with the same tensor names."""
        super().__init__()
        self._source = source
        graph_model = onnx.inliner.inline_local_functions(source) if source.functions else source
        graph_model = graph_model if form is None else form
        self.fixed_batch = fixed_batch(graph_model)
        weights = find_weights(graph_model)
        held = constant_tensors(source)
        self.roles: dict[str, str] = {name: role for name, role in weights.roles.items() if name in held}
        self.roles.update((name, "extra") for name in _checked_extras(extra_trainable, held))
        statistics = {name for name in weights.statistics if name in held}
        means = {node.input[3] for node in graph_model.graph.node if node.op_type == "BatchNormalization"}
        variables = {*self.roles, *statistics}
        self.removed: tuple[str, ...] = ()
        try:
            self._plan: Plan = make_plan(graph_model, variables, means - statistics, precision)
        except Refusal as refusal:
            rest = without_tail(graph_model, refusal.nodes, variables)
            if rest is None:
                raise
            self.removed = tuple(sorted({node.op_type for node in refusal.nodes}))
            graph_model = rest
            self._plan = make_plan(graph_model, variables, means - statistics, precision)
        self.input_names, self.output_names = self._plan.inputs, self._plan.outputs
        self._types = _declared(graph_model, precision)
        read = {name for step in self._plan.steps for name in step.inputs}
        self.roles = {name: role for name, role in self.roles.items() if name in read}
        self._keys: dict[str, str] = {}
        # Shapes, axes and indices stay on the CPU, where they are read as Python numbers.
        self._integers: dict[str, Tensor] = {}
        for name in sorted(self.roles):
            self.register_parameter(self._key(name), torch.nn.Parameter(to_torch(held[name], precision)))
        for name in sorted(statistics & read):
            self.register_buffer(self._key(name), to_torch(held[name], precision))
        self._statistics = tuple(sorted(statistics & read))
        self.fixed_statistics = frozenset((means - statistics) & read)
        for name, value in self._plan.constants.items():
            if value.is_floating_point():
                self.register_buffer(self._key(name), value, persistent=False)
            else:
                self._integers[name] = value

    @property
    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """ONNX name -> parameter."""
        return {name: self._parameters[self._keys[name]] for name in sorted(self.roles)}

    @property
    def statistics(self) -> dict[str, Tensor]:
        """ONNX name -> running mean or variance."""
        return {name: self._buffers[self._keys[name]] for name in self._statistics}

    @property
    def steps(self) -> tuple[Step, ...]:
        """The calls in order, for tools that want names of nodes and tensors."""
        return self._plan.steps

    @overload
    def forward(self, *inputs: Tensor, overrides: Mapping[str, Tensor] | None = None) -> Outputs: ...

    @overload
    def forward(
        self, *inputs: Tensor, capture: Collection[str], overrides: Mapping[str, Tensor] | None = None
    ) -> tuple[Outputs, dict[str, Tensor]]: ...

    def forward(
        self,
        *inputs: Tensor,
        capture: Collection[str] | None = None,
        overrides: Mapping[str, Tensor] | None = None,
    ) -> Outputs | tuple[Outputs, dict[str, Tensor]]:
        """The graph's outputs in the order of `output_names`.

        With `capture`, names of tensors inside the graph, the result is (outputs, {name: tensor}). `overrides` gives
        other values to parameters for this call: {ONNX name: tensor}.

        Raises MODEL_UNRUNNABLE, naming the node, when inputs do not fit; OPTION_INVALID for unknown names.
        """
        values = self._values(inputs, overrides or {})
        wanted = frozenset(capture or ())
        training = self.training
        step: Step | None = None
        try:
            for step in self._plan.steps:
                arguments = [values[name] if name else None for name in step.inputs]
                result = step.run(*arguments, training=training) if step.trains else step.run(*arguments)
                if isinstance(result, tuple):
                    values.update(zip(step.outputs, result, strict=False))
                else:
                    values[step.outputs[0]] = result
                for name in step.frees:
                    if name not in wanted:
                        del values[name]
        except (RuntimeError, IndexError, ValueError, TypeError) as error:
            raise _failed(step, arguments, error) from error
        outputs = tuple(self._as_declared(name, values[name]) for name in self.output_names)
        if capture is None:
            return outputs
        unknown = sorted(wanted - values.keys())
        if unknown:
            raise EdgewrightError(
                ErrorCode.OPTION_INVALID,
                f"no such tensors in the graph: {', '.join(unknown[:5])}",
                "names of tensors are those of the normalised ONNX file",
            )
        return outputs, {name: values[name] for name in wanted}

    def write_back(self, destination: Path) -> None:
        """Writes the ONNX model with the present weights and statistics; what did not change keeps its very bytes.

        Raises MODEL_NOT_FINITE when a weight is not finite (nothing is written then), DISK_FULL.
        """
        write_weights(self._source, {**self.trainable, **self.statistics}, destination)

    def in_double(self) -> Executor:
        """The same network with the same weights, computed in float64, in evaluation mode: nearly without rounding."""
        extra = [name for name, role in self.roles.items() if role == "extra"]
        twin: Executor = Executor(self._source, extra, torch.float64).eval()
        twin.load_state_dict(self.state_dict())
        return twin

    def _key(self, name: str) -> str:
        """A name that torch accepts, which has no dots, for an ONNX name."""
        key = base = "onnx/" + name.replace(".", "/")
        taken = set(self._keys.values())
        while key in taken:
            key = base + f"/{len(taken)}"
        self._keys[name] = key
        return key

    def _values(self, inputs: tuple[Tensor, ...], overrides: Mapping[str, Tensor]) -> dict[str, Any]:
        if len(inputs) != len(self.input_names):
            raise EdgewrightError(
                ErrorCode.MODEL_UNRUNNABLE,
                f"the network has {len(self.input_names)} inputs ({', '.join(self.input_names)}), {len(inputs)} given",
                "give one tensor for each",
            )
        values: dict[str, Any] = dict(self._integers)
        parameters, buffers = self._parameters, self._buffers
        for name, key in self._keys.items():
            values[name] = parameters[key] if key in parameters else buffers[key]
        for name, value in zip(self.input_names, inputs, strict=True):
            kind = self._types.get(name, value.dtype)
            values[name] = value.to(kind) if value.is_floating_point() and kind.is_floating_point else value
        for name, value in overrides.items():
            if name not in self.roles:
                raise EdgewrightError(
                    ErrorCode.OPTION_INVALID, f"{name!r} is no parameter of the executor", "see its `trainable`"
                )
            values[name] = value
        return values

    def _as_declared(self, name: str, value: Tensor) -> Tensor:
        """QuantizeLinear gives whole floats inside the graph; at its border they are integers."""
        kind = self._types.get(name)
        return value.to(kind) if kind is not None and value.is_floating_point() != kind.is_floating_point else value


def _declared(model: onnx.ModelProto, precision: torch.dtype) -> dict[str, torch.dtype]:
    found = {}
    for value in (*model.graph.input, *model.graph.output):
        kind = torch_type(value.type.tensor_type.elem_type, precision)
        if kind is not None:
            found[value.name] = kind
    return found


def _checked_extras(names: Collection[str], held: Mapping[str, Any]) -> list[str]:
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    wrong = sorted(name for name in names if name not in held or held[name].data_type not in floats)
    if wrong:
        raise EdgewrightError(
            ErrorCode.OPTION_INVALID,
            f"not float constants of the model: {', '.join(wrong[:5])}",
            "only initializers and Constant nodes of type FLOAT or DOUBLE can be trained",
        )
    return sorted(names)


def _failed(step: Step | None, arguments: list[Tensor | None], error: Exception) -> EdgewrightError:
    where = "the network" if step is None else f"node {step.name!r} ({step.op})"
    shapes = [None if item is None else tuple(item.shape) for item in arguments]
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return EdgewrightError(
        ErrorCode.MODEL_UNRUNNABLE,
        f"{where} cannot run on inputs {shapes}: {reason[:300]}",
        "check the input size and the batch; a graph exported for a fixed batch runs only with that batch",
    )
