"""Starting, refusing to start, and stopping."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import psutil
import pytest

from edgewright_contract import agent_pb2 as pb
from edgewright_contract import agent_pb2_grpc as rpc
from tests.agent.harness import Identity, agent, agent_argv, call, client, pair_with, run_agent


def serve_fails(*arguments: str) -> tuple[int, str]:
    done = run_agent("serve", *arguments)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_second_agent_on_one_state_is_refused(state: Path) -> None:
    """Two agents never share a state folder, and the first one does not suffer."""
    with agent(state) as first:
        status, said = serve_fails("--host", "127.0.0.1", "--port", "0", "--state", str(state))

        assert status == 1
        assert "agent_state_locked" in said
        assert str(state) in said
        assert first.certificate()


def test_killed_agent_leaves_no_lock(state: Path) -> None:
    """After kill -9 the next start works at once."""
    with agent(state) as first:
        first.kill()
    with agent(state) as second:
        assert second.certificate()


def test_port_in_use_is_said(state: Path) -> None:
    """A port another program listens on is refused by name, and the state is not left locked."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, said = serve_fails("--host", "127.0.0.1", "--port", str(port), "--state", str(state))

    assert status == 1
    assert "agent_address_in_use" in said
    assert str(port) in said
    with agent(state) as started:
        assert started.port != port


def test_two_agents_do_not_share_a_port(state: Path, tmp_path: Path) -> None:
    """Without that care gRPC would let a second agent listen on the first one's port."""
    with agent(state) as first:
        other = str(tmp_path / "other")
        status, said = serve_fails("--host", "127.0.0.1", "--port", str(first.port), "--state", other)

    assert status == 1
    assert "agent_address_in_use" in said


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["--insecure"], 2, "insecure_refused"),
        (["--insecure", "--host", "192.0.2.7"], 2, "insecure_refused"),
        (["--host", "192.0.2.7"], 2, "address_invalid"),
        (["--host", "no.such.host.invalid"], 2, "address_invalid"),
        (["--port", "70000"], 2, "address_invalid"),
        (["--port", "many"], 2, "usage"),
        (["--quota-bytes", "-1"], 2, "option_invalid"),
        (["--colour"], 2, "usage"),
    ],
)
def test_bad_options_are_refused(state: Path, arguments: list[str], status: int, code: str) -> None:
    """A refusal says what is wrong, with its exit status, and no port file or code is shown."""
    found, said = serve_fails("--state", str(state), "--port-file", str(state) + ".port", *arguments)

    assert (found, f"[{code}]" in said) == (status, True), said
    assert not Path(str(state) + ".port").exists()


def test_unusable_state_is_said(tmp_path: Path) -> None:
    """A file where the folder should be is no state folder."""
    (tmp_path / "file").write_text("x")
    status, said = serve_fails("--state", str(tmp_path / "file" / "state"))

    assert status == 1
    assert "agent_state_unusable" in said


def test_damaged_slots_are_said(state: Path) -> None:
    """A slots file that somebody edited badly stops the start with its name."""
    state.mkdir()
    (state / "slots.json").write_text('{"slots": [{"slot"')
    status, said = serve_fails("--state", str(state), "--host", "127.0.0.1", "--port", "0")

    assert status == 1
    assert "slots.json" in said


def test_insecure_serves_loopback_in_plain_text(state: Path) -> None:
    """With --insecure on loopback no certificate is needed, and nothing can be paired."""
    with agent(state, "--insecure") as running:
        with grpc.insecure_channel(f"127.0.0.1:{running.port}") as opened:
            facts = call(rpc.AgentStub(opened).Describe, pb.DescribeRequest()).facts
        assert facts.cores >= 1
        refused = run_agent("pair", "--state", str(state), "--json")
        assert json.loads(refused.stdout)["error"]["code"] == "insecure_refused"
        assert "plain text" in running.output
        assert "--code" not in running.output


def test_port_file_is_there_only_while_the_agent_answers(state: Path) -> None:
    """The number alone, once calls are answered; gone after an orderly end, replaced after a crash."""
    port_file = state.parent / "state.port"
    with agent(state) as running:
        assert port_file.read_text().strip() == str(running.port)
        socket.create_connection(("127.0.0.1", running.port), 5).close()
        running.stop()
        assert not port_file.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stops_within_a_second_when_asked(state: Path, me: Identity, number: int) -> None:
    """Ctrl-C and SIGTERM end the agent in order, an open connection or not."""
    with agent(state) as running:
        pair_with(running, running.pairing_code(), me)
        with client(running, me) as paired:
            paired.describe()
            status, seconds = running.stop(number)

    assert status == 0
    assert seconds < 2.0
    assert "Traceback" not in running.output


def test_stops_while_starting(state: Path) -> None:
    """A signal that comes at any moment of the start ends it without a traceback."""
    for delay in (0.05, 0.15, 0.3, 0.5):
        argv = agent_argv("serve", "--host", "127.0.0.1", "--port", "0", "--state", str(state))
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            time.sleep(delay)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=20)
        assert process.returncode in (0, -signal.SIGTERM, 130), said
        assert "Traceback" not in said
    with agent(state) as running:
        assert running.certificate()


def test_idle_agent_is_small_and_starts_fast(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under 45 MiB while nothing happens (what is shared with others included); the start is printed."""
    with agent(state) as first:
        first_start = first.started_s
        first.stop()
    with agent(state) as running:
        time.sleep(0.5)
        process = psutil.Process(running.process.pid)
        rss = process.memory_info().rss / 2**20
        children = process.children()
    with capsys.disabled():
        sys.stdout.write(
            f"\nidle agent: {rss:.1f} MiB, start {running.started_s:.2f} s, first start {first_start:.2f} s\n"
        )

    assert children == []
    assert rss < 48
    assert running.started_s < 5


def test_no_heavy_import_in_the_parent() -> None:
    """Serving needs neither numpy nor a runtime nor cryptography; the command line not even grpc."""
    code = (
        "import sys, edgewright_agent.cli as c; c._parser(); light = 'grpc' in sys.modules;"
        "import edgewright_agent.serving, edgewright_agent.server, edgewright_agent.measuring,"
        "edgewright_agent.device_info, edgewright_agent.measure.benchmark, edgewright_agent.measure.evaluation;"
        "print(light, [m for m in ('numpy', 'onnxruntime', 'cryptography') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False []"


def test_pair_needs_a_running_agent(state: Path) -> None:
    """A code without an agent would be of no use: AGENT_NOT_RUNNING, as JSON when asked."""
    done = run_agent("pair", "--state", str(state), "--json")

    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "agent_not_running"
    assert not state.exists()


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "1e9"])
def test_pair_minutes_are_checked(state: Path, minutes: str) -> None:
    """A window has an end, within a day."""
    done = run_agent("pair", "--state", str(state), "--json", "--minutes", minutes)

    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "option_invalid"


def test_describe_and_selftest_answer_in_json(state: Path) -> None:
    """Both work without an agent running and leave nothing behind."""
    described = run_agent("describe", "--json", "--state", str(state))
    tested = run_agent("selftest", "--json", "--state", str(state))

    facts, results = json.loads(described.stdout), json.loads(tested.stdout)
    assert facts["cores"] == len(psutil.Process().cpu_affinity())
    assert {one["runtime"] for one in results["results"]} == {one["name"] for one in facts["runtimes"]}
    assert results["passed"], results
    assert tested.returncode == 0
    assert not state.exists()


@pytest.mark.parametrize("command", [[], ["serve"], ["pair"], ["describe"], ["selftest"], ["controllers", "list"]])
def test_help_has_examples(command: list[str]) -> None:
    """--help ends well, shows an example, and is quick."""
    done = run_agent(*command, "--help")

    assert done.returncode == 0
    assert "example" in done.stdout


def test_revoking_nobody_lists_who_is_there(state: Path) -> None:
    """A fingerprint that fits nobody is refused with the known ones."""
    with agent(state):
        done = run_agent("controllers", "revoke", "abcdef", "--state", str(state), "--json")

    assert done.returncode == 2
    assert "none" in json.loads(done.stdout)["error"]["message"]
