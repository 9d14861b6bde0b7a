"""Training an executor is training the network that was exported."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edgewright.compress.executor.module import build_executor
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.executor.native import export, mobile_network, residual_network

NETWORKS = {"residual": residual_network, "mobile": mobile_network}


def _batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(4, 3, 32, 32, generator=generator, dtype=torch.float64),
        torch.randint(0, 10, (4,), generator=generator),
    )


def _native(make: Callable[[], nn.Module]) -> nn.Module:
    """Random weights, and statistics as after training: all different (exporters merge equal tensors)."""
    torch.manual_seed(3)
    network = make()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value, low, high in (
                (module.running_mean, -0.1, 0.1),
                (module.running_var, 0.8, 1.2),
                (module.weight, 0.8, 1.2),
                (module.bias, -0.1, 0.1),
            ):
                nn.init.uniform_(value, low, high)
    return network


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_and_statistics_equal_native_ones(name: str, tmp_path: Path) -> None:
    """In training mode, with BatchNorm kept: loss, every gradient and every running statistic (double precision)."""
    native = _native(NETWORKS[name])
    executor = build_executor(export(native, tmp_path / "n.onnx", 32), precision=torch.float64).train()
    native = native.double().train()
    images, labels = _batch()
    wanted = functional.cross_entropy(native(images), labels)
    found = functional.cross_entropy(executor(images)[0], labels)
    wanted.backward()
    found.backward()
    assert found.item() == pytest.approx(wanted.item(), rel=1e-12)
    expected = dict(native.named_parameters())
    assert executor.trainable.keys() == expected.keys()
    for key, parameter in executor.trainable.items():
        scale = float(expected[key].grad.abs().max())
        torch.testing.assert_close(parameter.grad, expected[key].grad, rtol=1e-9, atol=1e-10 * max(scale, 1e-3))
    moments = {key: value for key, value in native.named_buffers() if key.endswith(("mean", "var"))}
    assert executor.statistics.keys() == moments.keys()
    for key, value in executor.statistics.items():
        torch.testing.assert_close(value, moments[key], rtol=1e-10, atol=1e-12)


def test_ten_steps_of_training_end_where_native_ones_end(tmp_path: Path) -> None:
    """Momentum SGD from the same start on the same batches gives the same loss curve and weights."""
    native = _native(mobile_network)
    executor = build_executor(export(native, tmp_path / "n.onnx", 32), precision=torch.float64).train()
    native = native.double().train()
    curves = []
    for network, parameters in ((native, native.parameters()), (executor, executor.trainable.values())):
        optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
        losses = []
        for step in range(10):
            images, labels = _batch(step % 2)
            outputs = network(images[:, :, ::2, ::2])
            loss = functional.cross_entropy(outputs[0] if isinstance(outputs, tuple) else outputs, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        curves.append(losses)
    assert curves[1] == pytest.approx(curves[0], rel=1e-6)
    assert curves[0][-1] < curves[0][0]


def test_a_folded_export_trains_without_batchnorm(tmp_path: Path) -> None:
    """The usual export has biased convolutions only: all are trainable, and a step lowers the loss."""
    executor = build_executor(export(_native(residual_network), tmp_path / "n.onnx", 32, keep_batchnorm=False)).train()
    assert set(executor.roles.values()) == {"weight", "bias"}
    assert not executor.statistics
    images, labels = _batch()
    optimizer = torch.optim.SGD(executor.trainable.values(), lr=0.01)
    losses = []
    for _ in range(5):
        loss = functional.cross_entropy(executor(images)[0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_captured_tensors_are_the_graphs_own_and_carry_gradients(tmp_path: Path) -> None:
    """Intermediate tensors by name, for distillation; the outputs stay the same."""
    executor = build_executor(export(_native(residual_network), tmp_path / "n.onnx", 32))
    name = next(step.outputs[0] for step in executor.steps if step.op == "Relu")
    images, _ = _batch()
    plain = executor(images)
    outputs, captured = executor(images, capture={name})
    torch.testing.assert_close(outputs, plain, rtol=0, atol=0)
    assert list(captured) == [name]
    captured[name].sum().backward()
    first = min(executor.trainable)
    assert executor.trainable[first].grad is not None
    with pytest.raises(EdgewrightError) as caught:
        executor(images, capture={"nowhere"})
    assert caught.value.code is ErrorCode.OPTION_INVALID
    assert "nowhere" in caught.value.message


def test_overrides_replace_parameters_for_one_call(tmp_path: Path) -> None:
    """Functional use: other values flow through with their gradients, the parameters stay."""
    executor = build_executor(export(_native(residual_network), tmp_path / "n.onnx", 32))
    images, _ = _batch()
    name = next(key for key, role in executor.roles.items() if role == "weight")
    mask = torch.ones(executor.trainable[name].shape[0], 1, 1, 1, requires_grad=True)
    before = executor(images)[0]
    masked = executor(images, overrides={name: executor.trainable[name] * mask * 0.5})[0]
    assert not torch.equal(before, masked)
    masked.sum().backward()
    assert mask.grad is not None
    assert torch.equal(executor(images)[0], before)
    with pytest.raises(EdgewrightError):
        executor(images, overrides={"nowhere": mask})


def test_a_copy_trains_apart(tmp_path: Path) -> None:
    """A deep copy (a teacher) keeps its weights and statistics while the original trains."""
    executor = build_executor(export(_native(residual_network), tmp_path / "n.onnx", 32))
    teacher = copy.deepcopy(executor)
    images, labels = _batch()
    before = teacher(images)[0]
    executor.train()
    functional.cross_entropy(executor(images)[0], labels).backward()
    torch.optim.SGD(executor.trainable.values(), lr=0.1).step()
    executor.eval()
    assert torch.equal(teacher(images)[0], before)
    assert not torch.equal(executor(images)[0], before)


def test_state_is_saved_and_loaded(tmp_path: Path) -> None:
    """A checkpoint is torch's state_dict: weights and statistics, nothing else, and it restores the outputs."""
    path = export(_native(residual_network), tmp_path / "n.onnx", 32)
    executor, fresh = build_executor(path), build_executor(path)
    with torch.no_grad():
        for parameter in executor.trainable.values():
            parameter.mul_(1.1)
    state = executor.state_dict()
    assert len(state) == len(executor.trainable) + len(executor.statistics)
    fresh.load_state_dict(state)
    images, _ = _batch()
    assert torch.equal(fresh(images)[0], executor(images)[0])


def test_inputs_that_do_not_fit_name_the_node(tmp_path: Path) -> None:
    """A wrong channel count or a missing input is an error of its own, with the node and the shapes."""
    executor = build_executor(export(_native(residual_network), tmp_path / "n.onnx", 32))
    with pytest.raises(EdgewrightError) as caught:
        executor(torch.zeros(1, 4, 32, 32))
    assert caught.value.code is ErrorCode.MODEL_UNRUNNABLE
    assert "Conv" in caught.value.message
    assert "(1, 4, 32, 32)" in caught.value.message
    with pytest.raises(EdgewrightError, match="1 inputs"):
        executor()


def test_memory_of_dead_tensors_is_freed(tmp_path: Path) -> None:
    """Every tensor but the outputs has a last reader, after which the executor forgets it."""
    executor = build_executor(export(_native(mobile_network), tmp_path / "n.onnx", 32))
    made = {name for step in executor.steps for name in step.outputs} | set(executor.input_names)
    freed = [name for step in executor.steps for name in step.frees]
    assert len(freed) == len(set(freed))
    assert set(freed) == made - set(executor.output_names)


def test_float_inputs_of_any_precision_are_taken(tmp_path: Path) -> None:
    """Arrays of doubles or halves are converted; the result has the graph's precision."""
    executor = build_executor(export(_native(residual_network), tmp_path / "n.onnx", 32))
    images, _ = _batch()
    assert executor(images)[0].dtype == executor(images.half())[0].dtype == torch.float32
    np.testing.assert_allclose(
        executor(images)[0].detach().numpy(), executor(images.float())[0].detach().numpy(), rtol=0, atol=0
    )
