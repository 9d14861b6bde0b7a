"""What each command of `edgewright-agent` does."""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import sys
from dataclasses import asdict
from typing import Any

from edgewright_agent.controllers import ControllerStore
from edgewright_agent.pairing_window import PairingWindow
from edgewright_agent.serving import PLAIN, StopSignal, serve
from edgewright_agent.settings import Settings
from edgewright_agent.state import StateFolder, unusable
from edgewright_contract import certificates, pairing
from edgewright_contract.errors import EXIT_DONE, EdgewrightError, ErrorCode
from edgewright_contract.values import DeviceFacts, PairedController

MINUTES_MAX = 24 * 60.0


def print_lines(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def print_document(document: dict[str, Any]) -> None:
    print_lines(json.dumps(document, indent=1))


def serve_command(options: argparse.Namespace) -> int:
    limit_mib = options.memory_limit_mib
    limit_bytes = _default_memory_limit() if limit_mib is None else limit_mib * 1024 * 1024
    settings = Settings(
        state=options.state.expanduser().absolute(),
        host=options.host,
        port=options.port,
        port_file=options.port_file,
        insecure=options.insecure,
        quota_bytes=options.quota_bytes,
        memory_limit_bytes=limit_bytes,
        sysroot=options.sysroot,
    )
    stop = StopSignal()
    stop.install()
    serve(settings, stop)
    # Asked to stop is done, not failed: service managers send SIGTERM, people Ctrl-C. What must be stored is;
    # Python itself would go on waiting for every thread, a deployment's worker that takes minutes included.
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(EXIT_DONE)


def _default_memory_limit() -> int:
    """Nine tenths of the device's memory, bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 9 // 10


def pair_command(options: argparse.Namespace) -> int:
    minutes = options.minutes
    if not (math.isfinite(minutes) and 0 < minutes <= MINUTES_MAX):
        raise EdgewrightError(
            ErrorCode.OPTION_INVALID, f"--minutes is {minutes}; allowed: more than 0, {MINUTES_MAX:g} at most"
        )
    state = StateFolder(options.state.expanduser().absolute())
    holder = state.holder()
    if holder == PLAIN:
        raise EdgewrightError(
            ErrorCode.INSECURE_REFUSED,
            "the running agent was started with --insecure: it has no pairing",
            "start it without --insecure, or use `--insecure` with the controller",
        )
    identity = None if holder is None else certificates.load(state.identity)
    if identity is None:
        raise EdgewrightError(
            ErrorCode.AGENT_NOT_RUNNING,
            f"no agent is running with the state folder {state.root}",
            f"start one: edgewright-agent serve --state {state.root}",
        )
    try:
        secret = pairing.new_secret()
        root = pairing.pairing_root(secret)
        offer = PairingWindow(state.pairing).open(identity[1], secret, root, minutes)
    except OSError as error:
        raise unusable(state.root, error) from error
    expires = datetime.datetime.fromtimestamp(offer.expires_unix_s, datetime.timezone.utc)
    if options.json:
        print_document({"code": offer.code, "expires_at": expires.isoformat(timespec="seconds")})
    else:
        print_lines(offer.code, f"good for one controller, until {expires.astimezone():%Y-%m-%d %H:%M:%S}")
    return EXIT_DONE


def describe_command(options: argparse.Namespace) -> int:
    from edgewright_agent import device_info

    state = options.state.expanduser().absolute()
    existing = next(folder for folder in (state, *state.parents) if folder.is_dir())
    facts = device_info.collect(options.sysroot, existing)
    if options.json:
        print_document(asdict(facts))
    else:
        print_lines(*_facts_lines(facts))
    return EXIT_DONE


def _facts_lines(facts: DeviceFacts) -> list[str]:
    gib = 1024**3
    lines = [
        f"board         {facts.board}",
        f"cpu           {facts.cpu_model}, {facts.cores} cores, {facts.architecture}",
        f"memory        {facts.memory_bytes / gib:.1f} GiB",
        f"disk free     {facts.disk_free_bytes / gib:.1f} GiB",
        f"system        {facts.system}, kernel {facts.kernel}, Python {facts.python_version}",
        f"agent         {facts.agent_version}",
    ]
    for runtime in facts.runtimes:
        accelerators = ", ".join(runtime.accelerators) or "none named"
        lines.append(f"runtime       {runtime.name} {runtime.version} ({runtime.package}): {accelerators}")
    if not facts.runtimes:
        lines.append("runtime       none: install onnxruntime, ai-edge-litert or tflite-runtime")
    for reading in facts.readings:
        value = f"unavailable: {reading.unavailable}" if reading.value is None else reading.value
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        lines.append(f"{reading.name:<20} {shown} {reading.unit if reading.value is not None else ''}".rstrip())
    return lines


def _controllers(options: argparse.Namespace) -> ControllerStore:
    folder = StateFolder(options.state.expanduser().absolute()).controllers
    if not folder.is_dir():
        raise EdgewrightError(
            ErrorCode.AGENT_STATE_UNUSABLE,
            f"there is no agent's state in {options.state}",
            "name the folder the agent was started with: --state DIR",
        )
    return ControllerStore(folder)


def _public(controller: PairedController) -> dict[str, Any]:
    paired = datetime.datetime.fromtimestamp(controller.paired_unix_ns / 1e9, datetime.timezone.utc)
    return {
        "name": controller.name,
        "fingerprint": controller.fingerprint,
        "paired_at": paired.isoformat(timespec="seconds"),
    }


def list_controllers_command(options: argparse.Namespace) -> int:
    controllers = [_public(one) for one in _controllers(options).list()]
    if options.json:
        print_document({"controllers": controllers})
    elif controllers:
        print_lines(*(f"{one['fingerprint'][:16]}  {one['paired_at']}  {one['name']}" for one in controllers))
    else:
        print_lines("no controller is paired")
    return EXIT_DONE


def revoke_controller_command(options: argparse.Namespace) -> int:
    store = _controllers(options)
    wanted = options.controller.lower()
    found = [one for one in store.list() if one.fingerprint.startswith(wanted)] if len(wanted) >= 4 else []
    if len(found) != 1:
        known = ", ".join(f"{one.fingerprint[:16]} ({one.name})" for one in store.list()) or "none"
        raise EdgewrightError(
            ErrorCode.OPTION_INVALID,
            f"{options.controller!r} names {len(found)} controllers; known: {known}",
            "give the front of one fingerprint, four characters or more",
        )
    store.remove(found[0].fingerprint)
    if options.json:
        print_document({"revoked": _public(found[0])})
    else:
        print_lines(f"{found[0].name} is trusted no longer")
    return EXIT_DONE
