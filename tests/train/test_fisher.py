"""Importance by gradients, against gradients taken sample by sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from edgewright.compress.executor.module import Executor, build_executor
from edgewright.compress.train.fisher import find_gates, fisher, gate_gradients, taylor
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.train.networks import classifier, detector, images, save

DATA = images(12, 3)


def one_by_one(executor: Executor, seed: int, size: int) -> dict[str, np.ndarray]:
    """sum over a channel's weights and bias of w * dL/dw, one backward pass a sample, with the same drawn classes."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, list[np.ndarray]] = {"w1": [], "w2": [], "w3": []}
    for start in range(0, len(DATA), size):
        with torch.no_grad():
            scores = executor(torch.from_numpy(DATA[start : start + size]))[0]
        drawn = torch.multinomial(torch.softmax(scores.double(), 1), 1, generator=generator)
        for row in range(len(scores)):
            executor.zero_grad()
            logits = executor(torch.from_numpy(DATA[start + row : start + row + 1]))[0]
            torch.nn.functional.cross_entropy(logits, drawn[row]).backward()
            for name in found:
                weight, bias = executor.trainable[name], executor.trainable["b" + name[1]]
                product = (weight * weight.grad).flatten(1).sum(1) + bias * bias.grad
                found[name].append(product.detach().numpy())
    return {name: np.stack(rows) for name, rows in found.items()}


@pytest.mark.parametrize("size", [1, 4])
def test_gates_are_gradients_of_each_sample(tmp_path: Path, size: int) -> None:
    """One backward pass a batch gives what one a sample gives."""
    executor = build_executor(classifier(tmp_path / "net.onnx"))
    batches = [DATA[start : start + size] for start in range(0, len(DATA), size)]

    found = gate_gradients(executor, batches, classification=True, seed=4)

    expected = one_by_one(executor, 4, size)
    assert set(found) == set(expected)
    for name, rows in expected.items():
        assert found[name].shape == (12, rows.shape[1])
        assert np.allclose(found[name], rows, atol=1e-5 * np.abs(rows).max())


def test_scores_are_means_over_samples(tmp_path: Path) -> None:
    """Fisher is the mean of half the squares, Taylor of the magnitudes; one score a channel."""
    executor = build_executor(classifier(tmp_path / "net.onnx"))
    s = gate_gradients(executor, [DATA], True)

    assert np.allclose(fisher(executor, [DATA], True)["w2"], 0.5 * np.square(s["w2"]).mean(axis=0))
    assert np.allclose(taylor(executor, [DATA], True)["w2"], np.abs(s["w2"]).mean(axis=0))


def test_dead_channels_have_no_importance(tmp_path: Path) -> None:
    """A channel whose weights are 0 scores exactly 0, and the others do not."""
    path = classifier(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    for tensor in model.graph.initializer:
        if tensor.name in ("w2", "b2"):
            value = numpy_helper.to_array(tensor).copy()
            value[3] = 0
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))

    score = fisher(build_executor(model), [DATA], True)["w2"]

    assert score[3] == 0.0
    assert (np.delete(score, 3) > 0).all()


def test_logits_and_probabilities_give_the_same(tmp_path: Path) -> None:
    """A network with its Softmax inside is measured alike."""
    scores = [
        fisher(build_executor(classifier(tmp_path / f"{end}.onnx", softmax=end)), [DATA], True)["w1"]
        for end in (False, True)
    ]

    assert np.allclose(scores[0], scores[1], rtol=0.02, atol=1e-6)


def test_other_networks_need_no_classes(tmp_path: Path) -> None:
    """A detector: every channel of every layer that reaches an output has a score above 0, the same for a seed."""
    executor = build_executor(detector(tmp_path / "net.onnx"))
    batches = [DATA[i : i + 1] for i in range(8)]
    first, second = (fisher(executor, batches, False, seed=2) for _ in range(2))

    assert {name: value.shape for name, value in first.items()} == {"w1": (8,), "w2": (4,), "w3": (2,)}
    assert all((value > 0).all() for value in first.values())
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_only_so_many_batches_are_read(tmp_path: Path) -> None:
    """`max_batches` bounds the work; the executor's mode and gradients are left alone."""
    executor = build_executor(classifier(tmp_path / "net.onnx"))
    executor.train()

    found = gate_gradients(executor, (DATA for _ in range(1000)), True, max_batches=2)

    assert found["w1"].shape[0] == 24
    assert executor.training
    assert all(parameter.grad is None for parameter in executor.parameters())


def test_gates_of_products_and_normalisation(tmp_path: Path) -> None:
    """MatMul weights on either side and BatchNormalization scales have gates on the right axis."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(0, 1, (4, 3, 1, 1)), "left": rng.normal(0, 1, (6, 8)), "right": rng.normal(0, 1, (8, 5))}
    weights |= {"gamma": np.ones(4), "beta": np.zeros(4), "mean": np.zeros(4), "var": np.ones(4)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv"),
        helper.make_node("BatchNormalization", ["c", "gamma", "beta", "mean", "var"], ["n"], "norm"),
        helper.make_node("MatMul", ["left", "n"], ["l"], "left_product"),
        helper.make_node("MatMul", ["l", "right"], ["y"], "right_product"),
    ]
    executor = build_executor(save(tmp_path / "net.onnx", nodes, weights, [("y", ["n", 4, 6, 5])], "n"))

    gates = {gate.weight: (gate.output, gate.axis) for gate in find_gates(executor)}
    found = gate_gradients(executor, [DATA], classification=False)

    assert gates == {"w": ("c", 1), "gamma": ("n", 1), "left": ("l", -2), "right": ("y", -1)}
    assert {name: value.shape[1] for name, value in found.items()} == {"w": 4, "gamma": 4, "left": 6, "right": 5}


def test_no_data_is_said(tmp_path: Path) -> None:
    """Nothing to measure on."""
    executor = build_executor(classifier(tmp_path / "net.onnx"))
    with pytest.raises(EdgewrightError) as caught:
        fisher(executor, [], True)

    assert caught.value.code == ErrorCode.DATASET_EMPTY
