"""A board and what is known about it: operations whose agent is killed, and what may be found afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Timer

import grpc
import psutil

from edgewright_agent.controllers import ControllerStore
from edgewright_agent.deployments import HISTORY_MAX
from edgewright_agent.pairing_window import PairingWindow
from edgewright_contract import agent_pb2 as pb
from edgewright_contract import certificates, pairing, transfer
from edgewright_contract.errors import EdgewrightError
from tests.agent import harness
from tests.agent.job_requests import candidate

LAUNCHER = Path(__file__).with_name("dying_agent.py")
SLOTS = ("cam", "default")
# A coded refusal of these kinds says that nothing was done; anything else leaves the outcome open.
OPEN = {"device_unreachable", "cancelled", "internal", "device_timeout", "device_not_paired"}


@dataclass
class Struck:
    """An operation that a kill has ended: what it was, which states may follow, what is wrong already."""

    what: str
    allowed: list[Truth]
    wrong: list[str]


History = tuple[tuple[str, str], ...]  # (how, sha256), oldest first


@dataclass(frozen=True)
class Truth:
    """Everything that has to survive: each slot's history, the trusted controllers, whether a code is open, and the
    artifacts that were acknowledged."""

    slots: dict[str, History] = field(default_factory=dict)
    controllers: frozenset[str] = frozenset()
    window: bool = False
    artifacts: frozenset[str] = frozenset()


@dataclass
class Step:
    """An operation under way: what it is, the state if it happens, and how it is asked for."""

    name: str
    after: Truth
    run: Callable[[harness.Client], object]


class Board:
    """One state folder over many lives of its agent."""

    def __init__(self, folder: Path, seed: int, model: bytes, golden: bytes, expected: bytes) -> None:
        self.random = random.Random(seed)
        self.state = folder / "state"
        self.fault_file = folder / "fault"
        self.me = certificates.create_identity("desk")
        self.others = [certificates.create_identity(f"desk{number}") for number in range(3)]
        self.models = [model + b"\xfa\x7f\x04" + bytes([number]) * 4 for number in range(3)]
        self.golden, self.expected = golden, expected
        self.bytes: dict[str, bytes] = {}
        self.truth = Truth()
        self.armed = 0

    @contextmanager
    def life(self) -> Iterator[harness.RunningAgent]:
        variables = {"FAULT_ROOT": str(self.state), "FAULT_FILE": str(self.fault_file)}
        with harness.agent(self.state, python=(sys.executable, str(LAUNCHER)), variables=variables) as running:
            yield running

    def begin(self) -> None:
        """Pair, and push what deployments need."""
        with self.life() as running:
            harness.pair_with(running, running.pairing_code(), self.me)
            with harness.client(running, self.me) as desk:
                for data in (*self.models, self.golden, self.expected):
                    desk.push_bytes(data)
                    self.bytes[transfer.sha256_of_bytes(data)] = data
        fingerprint = certificates.fingerprint(self.me[1])
        self.truth = Truth(controllers=frozenset({fingerprint}), artifacts=frozenset(self.bytes))

    # ---- operations ----

    def step(self, running: harness.RunningAgent) -> Step:
        """A random operation that makes sense now."""
        makers = [self._push, self._push, self._deploy, self._deploy_checked, self._pair]
        if any(len(history) > 1 for history in self.truth.slots.values()):
            makers += [self._rollback] * 2
        if len(self.truth.controllers) > 1:
            makers += [self._revoke] * 2
        return self.random.choice(makers)(running)

    def _push(self, _: harness.RunningAgent) -> Step:
        data = self.random.randbytes(self.random.choice((1, 4000, 600_000, 3_000_000)))
        sha256 = transfer.sha256_of_bytes(data)
        self.bytes[sha256] = data
        after = replace(self.truth, artifacts=self.truth.artifacts | {sha256})
        return Step("push", after, lambda desk: desk.push_bytes(data))

    def _deployed(self, slot: str, sha256: str) -> Truth:
        history = self.truth.slots.get(slot, ())
        if history and history[-1][1] == sha256:
            history = history[:-1]
        return self._with(slot, (*history, ("deploy", sha256)))

    def _with(self, slot: str, history: History) -> Truth:
        return replace(self.truth, slots={**self.truth.slots, slot: history[-HISTORY_MAX:]})

    def _deploy(self, _: harness.RunningAgent) -> Step:
        slot, sha256 = self.random.choice(SLOTS), transfer.sha256_of_bytes(self.random.choice(self.models))
        request = pb.DeployRequest(slot=slot, candidate=candidate(sha256))
        return Step("deploy", self._deployed(slot, sha256), lambda desk: harness.call(desk.stub.Deploy, request, 60))

    def _deploy_checked(self, _: harness.RunningAgent) -> Step:
        slot, sha256 = self.random.choice(SLOTS), transfer.sha256_of_bytes(self.random.choice(self.models))
        goals = pb.DeployGoals(
            golden=pb.InputSet(sha256=transfer.sha256_of_bytes(self.golden)),
            expected_sha256=transfer.sha256_of_bytes(self.expected),
        )
        request = pb.DeployCheckedRequest(slot=slot, candidate=candidate(sha256), goals=goals)
        after = self._deployed(slot, sha256)
        return Step("deploy checked", after, lambda desk: harness.call(desk.stub.DeployChecked, request, 60))

    def _rollback(self, _: harness.RunningAgent) -> Step:
        slot = self.random.choice([name for name, history in self.truth.slots.items() if len(history) > 1])
        history = self.truth.slots[slot]
        after = self._with(slot, (*history, ("rollback", history[-2][1])))
        request = pb.RollbackRequest(slot=slot)
        return Step("rollback", after, lambda desk: harness.call(desk.stub.Rollback, request))

    def _pair(self, running: harness.RunningAgent) -> Step:
        identity = self.random.choice(self.others)
        secret = pairing.new_secret()
        window = PairingWindow(self.state / "pairing")
        code = window.open(running.certificate(), secret, pairing.pairing_root(secret), 10).code
        self.truth = replace(self.truth, window=True)
        fingerprint = certificates.fingerprint(identity[1])
        after = replace(self.truth, window=False, controllers=self.truth.controllers | {fingerprint})
        return Step("pair", after, lambda _: harness.pair_with(running, code, identity))

    def _revoke(self, _: harness.RunningAgent) -> Step:
        mine = certificates.fingerprint(self.me[1])
        chosen = self.random.choice(sorted(self.truth.controllers - {mine}))
        after = replace(self.truth, controllers=self.truth.controllers - {chosen})
        request = pb.RevokeControllerRequest(fingerprint=chosen)
        return Step("revoke", after, lambda desk: harness.call(desk.stub.RevokeController, request))

    # ---- faults ----

    def strike(self) -> Iterator[tuple[str, list[str]]]:
        """In each life: what the one before left is judged (what was done, what is wrong), then one operation begins in
        which the agent is killed."""
        last: Struck | None = None
        while True:
            with self.life() as running, harness.client(running, self.me) as desk:
                if last is not None:
                    found = self._look(desk)
                    wrong = [*last.wrong, *self._judge(found, last.allowed)]
                    self.truth = found
                    yield last.what, wrong
                last = self._strike(running, desk)

    def _strike(self, running: harness.RunningAgent, desk: harness.Client) -> Struck:
        step = self.step(running)
        # Most kills are between two changes of the disk; the others at any moment, in the worker's time too.
        at_change = self.random.random() < 0.7
        self.armed += 1
        number = self.random.randint(1, 14)
        seconds = self.random.choice((0.01, 0.05, 1.5)) * self.random.random()
        children: list[psutil.Process] = []

        def shoot() -> None:
            with contextlib.suppress(psutil.NoSuchProcess):
                children.extend(psutil.Process(running.process.pid).children(recursive=True))
            running.process.kill()

        timer = Timer(seconds, shoot)
        if at_change:
            self.fault_file.write_text(f"{number} {self.armed}")
        else:
            timer.start()
        acknowledged, refused = False, ""
        try:
            step.run(desk)
            acknowledged = True
        except EdgewrightError as error:
            refused = error.code.value
        except (grpc.RpcError, AssertionError) as error:  # the agent was gone before the connection was made
            refused = f"device_unreachable: {error}"
        timer.cancel()
        running.kill()
        self.fault_file.unlink(missing_ok=True)
        allowed = [step.after] if acknowledged else [self.truth, step.after]
        if refused and refused.split(":")[0] not in OPEN:
            allowed = [self.truth]
        what = f"{step.name}, {f'change {number}' if at_change else f'{seconds:.3f} s'}: {refused or 'acknowledged'}"
        wrong = [f"{process} lives" for process in psutil.wait_procs(children, timeout=5)[1]]
        return Struck(what, allowed, wrong)

    def _look(self, desk: harness.Client) -> Truth:
        answer = harness.call(desk.stub.ListDeployments, pb.ListDeploymentsRequest())
        folder = self.state / "artifacts"
        return Truth(
            slots={one.slot: tuple((h.how, h.sha256) for h in one.history) for one in answer.deployments},
            controllers=ControllerStore(self.state / "controllers").fingerprints(),
            window=PairingWindow(self.state / "pairing").current() is not None,
            artifacts=frozenset(path.name for path in folder.glob("??/*")),
        )

    def _judge(self, found: Truth, allowed: list[Truth]) -> list[str]:
        """What is wrong with what was found, in words."""
        wrong = []
        if found not in allowed:
            wrong.append(f"a third state: {found}; allowed were {allowed}")
        folder = self.state / "artifacts"
        for path in folder.glob("??/*"):
            if hashlib.sha256(path.read_bytes()).hexdigest() != path.name:
                wrong.append(f"{path} has wrong bytes")
        for path in (folder / "parts").iterdir():
            whole = self.bytes.get(path.stem)
            if path.suffix != ".part" or whole is None or not whole.startswith(path.read_bytes()):
                wrong.append(f"{path} is no front part of anything that was pushed")
        known = {"lock", "slots.json", "identity", "controllers", "pairing", "artifacts", "jobs", "workspaces"}
        wrong += [f"{path} is an orphan" for path in self.state.iterdir() if path.name not in known]
        for name in ("controllers", "pairing", "identity"):
            wrong += [f"{path} is an orphan" for path in (self.state / name).iterdir() if path.name.startswith(".")]
        wrong += [f"{path} is an orphan" for path in (self.state / "workspaces").iterdir()]
        return wrong
