"""Use cases around devices: pair, list, show, remove."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from edgewright.core.names import check_name
from edgewright.core.plain import to_plain
from edgewright.core.targets import target_of
from edgewright.services.fleet import ALL
from edgewright.services.workspace import Workspace
from edgewright.store.records import DeviceRecord
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import DeviceFacts

ANSWER_SECONDS = 5.0


class DeviceService:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._devices = workspace.store.devices

    def add(self, name: str, address_text: str, code: str | None, insecure: bool) -> dict[str, Any]:
        """Pairs with the agent and registers it; the same device twice is refreshed, not added."""
        from edgewright.devices.address import parse_address

        check_name(name, "device")
        if name == ALL:
            raise EdgewrightError(
                ErrorCode.NAME_INVALID, f"{ALL!r} stands for every device, so it names none", "Choose another name."
            )
        address = parse_address(address_text)
        known = self._devices.find(name)
        if known is not None and known.address != str(address):
            raise EdgewrightError(
                ErrorCode.DEVICE_EXISTS,
                f"device {name} is registered at {known.address}",
                f"choose another name, or first: edgewright device remove {name}",
            )
        if insecure:
            record = self._plain_text(name, str(address), address.is_loopback)
        elif code is not None:
            from edgewright.devices.pairing import pair

            paired = pair(address, code, self._workspace.identity, f"edgewright-{socket.gethostname()}")
            pem = paired.certificate_pem.decode()
            tags = () if known is None else known.tags
            record = DeviceRecord(name, str(address), pem, paired.fingerprint, tags=tags)
        elif known is not None:
            record = known
        else:
            raise EdgewrightError(
                ErrorCode.DEVICE_NOT_PAIRED,
                f"a pairing code is needed to add {name}",
                "give --code with the code that `edgewright-agent serve` or `edgewright-agent pair` prints there",
            )
        # Keep what pairing achieved before anything else can fail: the code is used up.
        if known is None:
            self._devices.add(record)
        else:
            self._devices.update(record)
        facts = self.refresh(record)
        return self._document(self._devices.get(name), facts, None)

    def _plain_text(self, name: str, address: str, is_loopback: bool) -> DeviceRecord:
        if not is_loopback:
            raise EdgewrightError(
                ErrorCode.INSECURE_REFUSED,
                f"{address} is not loopback; plain text is for agents on this machine only",
                "pair with --code instead",
            )
        record = DeviceRecord(name, address, "", "")
        with self._workspace.connect(record) as client:
            client.describe(ANSWER_SECONDS)
        return record

    def refresh(self, record: DeviceRecord) -> DeviceFacts:
        """Asks the device for its facts and stores them."""
        with self._workspace.connect(record) as client:
            facts = client.describe()
        self._devices.seen(record.name, to_plain(facts), target_of(facts))
        return facts

    def list(self) -> list[dict[str, Any]]:
        """All devices, asked in parallel whether they answer."""
        records = self._devices.list()
        if not records:
            return []
        with ThreadPoolExecutor(max_workers=min(16, len(records))) as pool:
            states = list(pool.map(self._probe, records))
        return [
            {
                "name": record.name,
                "address": record.address,
                "online": not reason,
                "offline_reason": reason,
                "target": record.target,
                "tags": list(record.tags),
                "runtimes": [runtime["name"] for runtime in record.facts.get("runtimes", [])],
                "last_seen": record.last_seen,
            }
            for record, reason in zip(records, states, strict=True)
        ]

    def _probe(self, record: DeviceRecord) -> str:
        """Why the device does not answer, or an empty text."""
        try:
            with self._workspace.connect(record) as client:
                client.describe(ANSWER_SECONDS)
        except EdgewrightError as failure:
            return failure.message
        return ""

    def show(self, name: str) -> dict[str, Any]:
        record = self._devices.get(name)
        try:
            facts = self.refresh(record)
        except EdgewrightError as failure:
            return self._document(record, None, failure)
        return self._document(self._devices.get(name), facts, None)

    def remove(self, name: str) -> bool:
        """Forgets a device; returns whether its agent was told to forget this controller."""
        from edgewright_contract.certificates import fingerprint

        record = self._devices.get(name)
        revoked = False
        if record.certificate_pem:
            try:
                with self._workspace.connect(record) as client:
                    revoked = client.revoke_controller(fingerprint(self._workspace.identity[1]))
            except EdgewrightError:
                revoked = False  # an agent that is gone for good must not keep its name here
        self._devices.remove(name)
        return revoked

    def tag(self, name: str, tags: Sequence[str], *, remove: bool) -> dict[str, Any]:
        """Adds tags to a device, or takes them off; gives its name and all its tags, sorted."""
        for tag in tags:
            check_name(tag, "tag")
        now = set(self._devices.get(name).tags)
        after = now - set(tags) if remove else now | set(tags)
        record = self._devices.set_tags(name, tuple(sorted(after)))
        return {"name": record.name, "tags": list(record.tags)}

    def _document(
        self, record: DeviceRecord, facts: DeviceFacts | None, failure: EdgewrightError | None
    ) -> dict[str, Any]:
        deployments: list[Any] = []
        if facts is not None:
            with self._workspace.connect(record) as client:
                deployments = [to_plain(deployment) for deployment in client.deployments()]
        return {
            "name": record.name,
            "address": record.address,
            "online": failure is None,
            "offline_reason": "" if failure is None else failure.message,
            "target": record.target,
            "tags": list(record.tags),
            "runtimes": [runtime["name"] for runtime in record.facts.get("runtimes", [])],
            "fingerprint": record.fingerprint,
            "last_seen": record.last_seen,
            "facts": record.facts or None,
            "deployments": deployments,
        }
