"""Bad input: a stable code, the right exit status, one JSON document, nothing left behind."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tests.e2e.program import Agent, Program, serving


def save_network(path: Path, size: int = 8, opset: int = 13, external: bool = False) -> Path:
    """A small convolution with three outputs."""
    weight = numpy_helper.from_array(np.ones((3, 3, size, size), np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"]),
        helper.make_node("Flatten", ["y"], ["z"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 3])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    options = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0} if external else {}
    onnx.save(model, str(path), **options)
    return path


def save_images(folder: Path, classes: int = 2, each: int = 8) -> Path:
    generator = np.random.default_rng(0)
    for index in range(classes):
        (folder / f"class{index}").mkdir(parents=True)
        for number in range(each):
            pixels = generator.integers(0, 256, (10, 10, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"class{index}" / f"{number}.png")
    return folder


def test_not_a_model(program: Program, tmp_path: Path) -> None:
    """A text file is recognised as no model."""
    path = tmp_path / "net.onnx"
    path.write_text("not a model at all, but long enough to look at " * 20)

    assert program.fails("model", "add", "m", str(path))[:2] == (2, "model_unrecognised")
    assert program.json("model", "list") == {"models": []}


def test_truncated_model(program: Program, tmp_path: Path) -> None:
    """An ONNX file cut anywhere is corrupt, and leaves nothing in the store."""
    whole = save_network(tmp_path / "whole.onnx", size=64).read_bytes()
    path = tmp_path / "net.onnx"
    for share in (0.2, 0.5, 0.99):
        path.write_bytes(whole[: int(len(whole) * share)])

        status, code, _ = program.fails("model", "add", "m", str(path))

        assert (status, code) == (2, "model_corrupt")
    assert not list((program.home / "artifacts").rglob("*.*"))


def test_unsupported_opset(program: Program, tmp_path: Path) -> None:
    """Opset 8 is refused with the range that is read."""
    status, code, message = program.fails("model", "add", "m", str(save_network(tmp_path / "old.onnx", opset=8)))

    assert (status, code) == (2, "model_opset_unsupported")
    assert "8" in message
    assert "9" in message


def test_missing_external_weights(program: Program, tmp_path: Path) -> None:
    """Weights in another file that is not there are named."""
    path = save_network(tmp_path / "net.onnx", external=True)
    (tmp_path / "weights.bin").unlink()

    status, code, message = program.fails("model", "add", "m", str(path))

    assert (status, code) == (2, "model_weights_missing")
    assert "weights.bin" in message


def test_wrong_input_size_in_the_spec(program: Program, tmp_path: Path) -> None:
    """A spec that contradicts the graph names both sizes."""
    spec = tmp_path / "spec.toml"
    spec.write_text("[input]\nsize = [9, 9]\n")

    status, code, message = program.fails(
        "model", "add", "m", str(save_network(tmp_path / "net.onnx")), "--spec", str(spec)
    )

    assert (status, code) == (2, "spec_mismatch")
    assert "9" in message
    assert "8" in message


def test_empty_and_one_class_data_sets(program: Program, tmp_path: Path) -> None:
    """A folder without images and a folder of one class are refused."""
    (tmp_path / "empty").mkdir()
    save_images(tmp_path / "one", classes=1)

    assert program.fails("dataset", "add", "d", str(tmp_path / "empty"))[1] == "dataset_empty"
    assert program.fails("dataset", "add", "d", str(tmp_path / "one"), "--format", "imagefolder")[:2] == (
        2,
        "dataset_one_class",
    )
    assert program.json("dataset", "list") == {"datasets": []}


def test_label_out_of_range(program: Program, tmp_path: Path) -> None:
    """A label beyond the network's three outputs is found when the model is added."""
    images = save_images(tmp_path / "images")
    with (images / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "class_index"])
        for index in range(2):
            for number in range(8):
                writer.writerow([f"class{index}/{number}.png", 7 * index])
    program.json("dataset", "add", "d", str(images / "labels.csv"), "--format", "csv")

    status, code, message = program.fails(
        "model", "add", "m", str(save_network(tmp_path / "net.onnx")), "--dataset", "d"
    )

    assert (status, code) == (2, "label_invalid")
    assert "7" in message
    assert program.json("model", "list") == {"models": []}


def test_corrupt_images_are_named_and_skipped(program: Program, tmp_path: Path) -> None:
    """A broken file does not stop the data set, and is listed with its reason."""
    images = save_images(tmp_path / "images")
    broken = images / "class0" / "broken.png"
    broken.write_bytes((images / "class0" / "0.png").read_bytes()[:40])

    document = program.json("dataset", "add", "d", str(images))

    assert document["count"] == 16
    (skipped,) = document["skipped"]
    assert skipped["file"].endswith("broken.png")
    assert skipped["reason"]


def test_unknown_names(program: Program) -> None:
    """Unknown models, variants, devices, levels and targets have codes of their own."""
    assert program.fails("model", "show", "nope")[:2] == (2, "model_unknown")
    assert program.fails("push", "nope@base", "board")[:2] == (2, "device_unknown")
    assert program.fails("dataset", "show", "nope")[:2] == (2, "dataset_unknown")
    assert program.fails("compress", "nope")[:2] == (2, "model_unknown")
    assert program.fails("push", "no-at-sign", "board")[0] == 2


def test_unknown_level_and_target(program: Program, tmp_path: Path) -> None:
    """What this version lacks is refused by name, with the list of what it has."""
    program.json("model", "add", "m", str(save_network(tmp_path / "net.onnx")))

    status, code, message = program.fails("compress", "m", "--level", "acc9")
    assert (status, code) == (2, "level_unknown")
    assert "acc1" in message
    assert program.fails("compress", "m", "--target", "z80")[:2] == (2, "target_unknown")
    assert program.fails("compress", "m", "--level", "acc1")[:2] == (2, "dataset_required")


def test_wrong_usage_is_a_json_error_too(program: Program) -> None:
    """Unknown commands and options, missing arguments and values out of range exit with 2."""
    for arguments in (["nope"], ["model", "add"], ["bench", "a@b", "--percentile", "x"], ["bench", "--nope"]):
        assert program.fails(*arguments)[:2] == (2, "usage")


def test_wrong_and_used_pairing_codes(program: Program, agent: Agent) -> None:
    """A mistyped code, a code of another agent, and a used code each say what is wrong."""
    code = agent.code()
    swapped = code[:-1] + ("0" if code[-1] != "0" else "1")

    assert program.fails("device", "add", "b", agent.address, "--code", "ABCD")[:2] == (2, "pairing_code_invalid")
    assert program.fails("device", "add", "b", agent.address, "--code", swapped)[:2] == (2, "pairing_code_invalid")
    assert program.fails("device", "add", "b", agent.address)[:2] == (1, "device_not_paired")
    program.json("device", "add", "b", agent.address, "--code", code)
    assert program.fails("device", "add", "c", agent.address, "--code", code)[:2] == (1, "pairing_code_refused")


def test_code_of_another_agent(program: Program, agent: Agent, tmp_path: Path) -> None:
    """A code made by one agent is not accepted for another: the certificate differs."""
    with serving(tmp_path / "other") as other:
        status, code, _ = program.fails("device", "add", "b", agent.address, "--code", other.code())

    assert (status, code) == (1, "certificate_mismatch")


def test_agent_with_another_certificate(program: Program, tmp_path: Path) -> None:
    """Another agent at a known address is not trusted, and that is what the error says."""
    program.json("model", "add", "m", str(save_network(tmp_path / "net.onnx")))
    with serving(tmp_path / "first") as first:
        program.json("device", "add", "b", first.address, "--code", first.code())
        port = first.port
    with serving(tmp_path / "second", "--port", str(port)):
        pushed = program.run("--json", "push", "m@base", "b")

    assert pushed.status == 1
    assert pushed.json()["results"][0]["error"]["code"] == "certificate_mismatch"


def test_revoked_controller(program: Program, tmp_path: Path) -> None:
    """A controller that the agent revoked is told so, and how to pair again."""
    with serving(tmp_path / "state") as agent:
        program.json("device", "add", "b", agent.address, "--code", agent.code())
        listed = agent.command("controllers", "list", "--json")
        agent.command("controllers", "revoke", listed["controllers"][0]["fingerprint"], "--json")
        shown = program.json("device", "show", "b")

    assert not shown["online"]
    assert "does not trust" in shown["offline_reason"]


def test_agent_down(program: Program, tmp_path: Path) -> None:
    """A device that does not answer fails a push within seconds, and stays registered."""
    program.json("model", "add", "m", str(save_network(tmp_path / "net.onnx")))
    with serving(tmp_path / "state") as gone:
        program.json("device", "add", "b", gone.address, "--code", gone.code())

    done = program.run("--json", "push", "m@base", "b")

    assert done.status == 1
    assert done.json()["results"][0]["error"]["code"] == "device_unreachable"
    assert not program.json("device", "list")["devices"][0]["online"]


def test_second_serve_on_the_same_state(tmp_path: Path) -> None:
    """Two agents cannot share a state folder."""
    import subprocess
    import sys

    with serving(tmp_path / "state"):
        second = subprocess.run(
            [sys.executable, "-m", "edgewright_agent", "serve", "--port", "0", "--state", str(tmp_path / "state")],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    assert second.returncode == 1
    assert "agent_state_locked" in second.stdout + second.stderr


@pytest.mark.slow
def test_interrupt_leaves_nothing_half_done(program: Program) -> None:
    """Ctrl-C at any step exits with 130, leaves no half-made file, and the next run goes on from there."""
    for after in ("[1/8]", "calibrating", "seconds sampled", "[7/8]"):
        done = program.interrupted("--json", "quickstart", after=after)

        assert done.status == 130, done.stderr
        assert done.json()["error"]["code"] == "cancelled"
        assert not list((program.home / "tmp").glob("*"))
        assert not [path for path in program.home.rglob("*") if path.name.endswith(".part")]
        assert all(len(path.name) == 64 for path in (program.home / "artifacts").rglob("*") if path.is_file())
    assert program.json("variant", "list", "example")["variants"]
