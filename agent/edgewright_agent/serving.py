"""The running agent: everything put together, from the locked state folder to the last call."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import socket
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Iterator

from edgewright_agent import __version__
from edgewright_agent.controllers import ControllerStore
from edgewright_agent.keys import KeyMaker
from edgewright_agent.pairing_window import DEFAULT_MINUTES, Offer, PairingWindow
from edgewright_agent.settings import Settings
from edgewright_agent.state import StateFolder, unusable
from edgewright_contract import certificates, pairing
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.files import write_atomic

_ANSWER_TIMEOUT_S = 5.0
_STOP_GRACE_S = 0.3
_WORKER_END_S = 1.0

# How the running agent is connected to, for other commands to read.
PLAIN, TLS = "plain", "tls"


class StopSignal:
    """Set by SIGINT and SIGTERM; remembers which one.

    The system may hand a signal to any thread, and then a main thread that waits for a lock never learns of it. A
    pipe that the signal writes to wakes it in every case, and costs nothing meanwhile.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self.number = 0

    def install(self) -> None:
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._set)

    def _set(self, number: int, _: FrameType | None) -> None:
        self.number = number
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self) -> None:
        while not self._event.is_set():
            os.read(self._reader, 64)


def serve(settings: Settings, stop: StopSignal) -> None:
    """Run until `stop`. Raises AGENT_STATE_*, AGENT_ADDRESS_IN_USE, ADDRESS_INVALID before anything is offered."""
    state = StateFolder(settings.state)
    state.create()
    with state.locked(PLAIN if settings.insecure else TLS), _port_file(settings.port_file) as announce:
        state.clear_leftovers()
        _run(settings, state, announce, stop)


class _Keys:
    """The agent's identity and, while no controller is paired, the makings of a first pairing code.

    What is missing is made by a child process while this one imports grpc.
    """

    def __init__(self, state: StateFolder, maker: KeyMaker) -> None:
        self._state = state
        self._secret = b""
        self._root: Future[bytes] | None = None
        unpaired = not ControllerStore(state.controllers).fingerprints()
        self._offers = unpaired and PairingWindow(state.pairing).current() is None
        if certificates.load(state.identity) is None or self._offers:
            self._secret = pairing.new_secret()
            name = f"edgewright agent {platform.node()}"
            with ThreadPoolExecutor(1) as pool:
                self._root = pool.submit(maker.first_start, state.identity, name, self._secret)
                import grpc  # noqa: F401

    def identity(self) -> tuple[bytes, bytes]:
        if self._root is not None:
            self._root.result()
        return certificates.load_or_create(self._state.identity)

    def open_window(self) -> Offer | None:
        """A code for the first controller, where there is none."""
        if not self._offers or self._root is None:
            return None
        window = PairingWindow(self._state.pairing)
        return window.open(self.identity()[1], self._secret, self._root.result(), DEFAULT_MINUTES)


def _run(settings: Settings, state: StateFolder, announce: _PortFile, stop: StopSignal) -> None:
    # A refused handshake is no event for the log; anybody on the network can cause any number of them.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    maker = KeyMaker(settings.python)
    keys = None if settings.insecure else _Keys(state, maker)
    # grpc is imported here: the other commands, and every refusal above, do without it.
    from edgewright_agent import device_info
    from edgewright_agent.artifacts import ArtifactStore
    from edgewright_agent.deployments import Deployer, SlotTable
    from edgewright_agent.jobs import JobQueue
    from edgewright_agent.lease import DeviceLease
    from edgewright_agent.measure.smoke import run_smoke
    from edgewright_agent.measuring import Measurer
    from edgewright_agent.pushes import PushReceiver
    from edgewright_agent.server import start_server
    from edgewright_agent.servicer import AgentServicer, PairingServicer
    from edgewright_agent.trust import Loopback, Trust

    worker = settings.worker()
    slots = SlotTable(state.slots_file)
    store = ArtifactStore(state.artifacts, settings.quota_bytes, slots.used)
    lease = DeviceLease()
    trust = Loopback() if keys is None else Trust(keys.identity(), state, maker)
    jobs = JobQueue(state.jobs, state.workspaces, lease, Measurer(store, worker))
    agent = AgentServicer(
        trust,
        store,
        PushReceiver(store),
        slots,
        Deployer(store, slots, lease, worker, run_smoke, state.workspaces),
        jobs,
        lambda: device_info.collect(settings.sysroot, state.root),
    )
    pairer = PairingServicer(trust, platform.node()) if isinstance(trust, Trust) else None
    server, port = start_server(settings.host, settings.port, trust, agent, pairer)
    try:
        _await_answer(settings.host, port, keys.identity()[1] if keys else b"")
        _say(f"edgewright agent {__version__} listens on {_shown(settings.host)}:{port}")
        offer = keys.open_window() if keys else None
        if keys is None:
            _say("plain text: anybody on this machine may use it")
        elif offer is not None:
            _say(f"No controller is paired yet. On the desktop, within {DEFAULT_MINUTES:g} minutes:")
            _say(f"  edgewright device add NAME {_reachable(settings.host)}:{port} --code {offer.code}")
        announce.write(port)
        stop.wait()
    finally:
        jobs.close()
        server.stop(_STOP_GRACE_S).wait()
        lease.wait_until_free(_WORKER_END_S)  # a deployment that was cut off kills its worker


class _PortFile:
    def __init__(self, path: Path | None) -> None:
        self._path = path

    def write(self, port: int) -> None:
        if self._path is not None:
            try:
                write_atomic(self._path, f"{port}\n".encode("ascii"), mode=0o644)
            except OSError as error:
                raise unusable(self._path.parent, error) from error

    def remove(self) -> None:
        if self._path is not None:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()


@contextlib.contextmanager
def _port_file(path: Path | None) -> Iterator[_PortFile]:
    """A file that is there only while the agent answers; one left by a killed agent goes first."""
    file = _PortFile(path)
    try:
        file.remove()
        yield file
        file.remove()
    except BaseException:
        with contextlib.suppress(OSError):
            file.remove()
        raise


def _await_answer(host: str, port: int, certificate: bytes) -> None:
    """Connect to ourselves as a controller would; no `certificate` means plain text."""
    host = _loopback(host)
    if certificate:
        if certificates.fetch_server_certificate(host, port, _ANSWER_TIMEOUT_S) == certificate:
            return
    else:
        with contextlib.suppress(OSError), socket.create_connection((host, port), _ANSWER_TIMEOUT_S):
            return
    raise EdgewrightError(ErrorCode.INTERNAL, f"the agent does not answer on its own port {port}")


def _loopback(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1", "": "127.0.0.1"}.get(host, host.strip("[]"))  # noqa: S104


def _shown(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else host


def _reachable(host: str) -> str:
    """The address others would use: for "all addresses" the one that leads out of this machine."""
    if _loopback(host) == host.strip("[]"):
        return _shown(host)
    family, outside = (socket.AF_INET6, "2001:db8::1") if ":" in host else (socket.AF_INET, "192.0.2.1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((outside, 9))  # sends nothing
            return _shown(str(probe.getsockname()[0]))
    except OSError:
        return platform.node()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
