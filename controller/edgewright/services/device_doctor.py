"""Use case: what exactly keeps a device from doing its work, and the remedy."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edgewright import __version__
from edgewright.services.workspace import Workspace
from edgewright.store.records import DeviceRecord
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import DeviceFacts

if TYPE_CHECKING:
    from edgewright.devices.address import Address

OK, WARNING, FAILED = "ok", "warning", "failed"
CONNECT_SECONDS = 5.0
CLOCK_SECONDS = 5.0  # journals and histories of devices stay comparable within this
LEAST_FREE_BYTES = 256 * 1024**2
HOT_CELSIUS = 80.0
# Without these a benchmark cannot tell a throttled device from a slow network.
_SENSORS = ("cpu_frequency", "governor", "temperature")


@dataclass(frozen=True)
class Finding:
    check: str
    state: str
    text: str
    hint: str = ""


class DeviceDoctor:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def examine(self, name: str) -> dict[str, Any]:
        """Findings from the outside in; after one that has failed on the way to the agent, what lies behind it is left
        out. Raises DEVICE_UNKNOWN."""
        from edgewright.devices.address import parse_address

        record = self._workspace.store.devices.get(name)
        findings = list(self._findings(record, parse_address(record.address)))
        return {
            "device": name,
            "address": record.address,
            "healthy": all(finding.state != FAILED for finding in findings),
            "findings": [asdict(finding) for finding in findings],
        }

    def _findings(self, record: DeviceRecord, address: Address) -> Iterator[Finding]:
        for step in (_name, _port):
            finding = step(address)
            yield finding
            if finding.state == FAILED:
                return
        if record.certificate_pem:
            for finding in _certificate(address, record):
                yield finding
                if finding.state == FAILED:
                    return
        else:
            yield Finding("tls", WARNING, "plain text: anybody on this machine may use the agent", "pair with --code")
        before = time.time_ns()
        try:
            with self._workspace.connect(record) as client:
                facts = client.describe(CONNECT_SECONDS)
        except EdgewrightError as failure:
            check = "pairing" if failure.code is ErrorCode.DEVICE_NOT_PAIRED else "agent"
            yield Finding(check, FAILED, failure.message, failure.hint)
            return
        yield Finding("pairing", OK, "the agent answers this controller")
        yield _version(facts)
        yield _clock(facts, before, time.time_ns())
        yield _disk(facts)
        yield _runtimes(facts)
        yield from _sensors(facts)


def _name(address: Address) -> Finding:
    try:
        ipaddress.ip_address(address.host)
        return Finding("dns", OK, f"{address.host} is an address, no name to look up")
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as failure:
        return Finding(
            "dns",
            FAILED,
            f"the name {address.host} has no address: {failure.strerror or failure}",
            "check the spelling and this machine's DNS, or register the device by its IP address",
        )
    return Finding("dns", OK, f"{address.host} is {', '.join(sorted({str(one[4][0]) for one in found}))}")


def _port(address: Address) -> Finding:
    try:
        with socket.create_connection((address.host, address.port), CONNECT_SECONDS):
            return Finding("port", OK, f"{address} accepts connections")
    except ConnectionRefusedError:
        return Finding(
            "port",
            FAILED,
            f"the device is there, but nothing listens at {address}",
            "start `edgewright-agent serve` there, or look whether it uses another port",
        )
    except TimeoutError:
        return Finding(
            "port",
            FAILED,
            f"no answer from {address} within {CONNECT_SECONDS:g} s",
            "is the device on and in this network, and does a firewall let the port through?",
        )
    except OSError as failure:
        return Finding(
            "port", FAILED, f"no way to {address}: {failure.strerror or failure}", "check cable, Wi-Fi and routes"
        )


def _certificate(address: Address, record: DeviceRecord) -> Iterator[Finding]:
    from edgewright_contract.certificates import fetch_server_certificate, fingerprint

    try:
        shown = fetch_server_certificate(address.host, address.port, CONNECT_SECONDS)
    except EdgewrightError as failure:
        hint = "another program, or an agent started with --insecure, has this port; check it on the device"
        yield Finding("tls", FAILED, failure.message, hint)
        return
    yield Finding("tls", OK, "TLS is spoken there")
    if fingerprint(shown) == record.fingerprint:
        yield Finding("certificate", OK, f"the pinned one, {record.fingerprint[:16]}")
        return
    yield Finding(
        "certificate",
        FAILED,
        f"it is {fingerprint(shown)[:16]}, not the paired {record.fingerprint[:16]}: another agent, or one made anew",
        f"check the address; if it is yours: edgewright device remove {record.name}, then device add with a new code",
    )


def _version(facts: DeviceFacts) -> Finding:
    theirs, ours = facts.agent_version, __version__
    if theirs.split(".")[:2] == ours.split(".")[:2]:
        return Finding("version", OK, f"agent {theirs}, controller {ours}")
    return Finding(
        "version", WARNING, f"agent {theirs}, controller {ours}", "bring both to the same release when you can"
    )


def _clock(facts: DeviceFacts, before_ns: int, after_ns: int) -> Finding:
    if not facts.clock_unix_ns:
        return Finding("clock", WARNING, "this agent does not tell its time", "update the agent")
    ahead_s = max(facts.clock_unix_ns - after_ns, 0) / 1e9 - max(before_ns - facts.clock_unix_ns, 0) / 1e9
    if abs(ahead_s) <= CLOCK_SECONDS:
        return Finding("clock", OK, "in step with this machine's")
    return Finding(
        "clock",
        WARNING,
        f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's",
        "nothing depends on it but the times shown; on the device: timedatectl set-ntp true",
    )


def _disk(facts: DeviceFacts) -> Finding:
    free = facts.disk_free_bytes
    text = f"{free / 1024**2:.0f} MiB free"
    if free >= LEAST_FREE_BYTES:
        return Finding("disk", OK, text)
    state = FAILED if free < LEAST_FREE_BYTES // 8 else WARNING
    return Finding("disk", state, text, "free space on the device: pushes are refused before they fill it")


def _runtimes(facts: DeviceFacts) -> Finding:
    if facts.runtimes:
        return Finding("runtimes", OK, ", ".join(f"{one.name} {one.version}" for one in facts.runtimes))
    return Finding(
        "runtimes",
        FAILED,
        "none is installed",
        "on the device: pip install 'edgewright-agent[onnxruntime]' or [tflite]",
    )


def _sensors(facts: DeviceFacts) -> Iterator[Finding]:
    missing = [one for one in facts.readings if one.value is None and one.name in _SENSORS]
    for one in missing:
        hint = "benchmarks there cannot notice throttling; look whether the kernel offers it"
        yield Finding(f"sensor {one.name}", WARNING, f"unavailable: {one.unavailable}", hint)
    heat = next((one.value for one in facts.readings if one.name == "temperature"), None)
    if isinstance(heat, float) and heat >= HOT_CELSIUS:
        yield Finding("sensor temperature", WARNING, f"{heat:.0f} degC", "cool the device: it will throttle soon")
    elif not missing:
        yield Finding("sensors", OK, "frequency, governor and temperature can be read")
