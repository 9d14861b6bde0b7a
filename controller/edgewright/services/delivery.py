"""Use cases: push a variant to devices and make it active, and go back to the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgewright.core.names import check_name
from edgewright.core.plain import to_plain
from edgewright.core.values import ProgressCallback, ProgressEvent
from edgewright.services.fleet import StateCallback, in_parallel, select
from edgewright.services.goals import CheckedGoals, GoalMaker, PushGoals
from edgewright.services.variants import VariantService, file_of
from edgewright.services.workspace import Workspace
from edgewright.store.records import DeploymentRecord, DeviceRecord, PushRecord, VariantRecord
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Candidate, DeployChecks

if TYPE_CHECKING:
    from edgewright.devices.client import AgentClient

RUNTIME_OF_FORMAT = {"onnx": "onnxruntime", "tflite": "tflite"}
NO_GOALS = PushGoals()


@dataclass(frozen=True)
class _Order:
    """One push; `checks` has the goals made ready for each target."""

    label: str
    slot: str
    checks: dict[str, CheckedGoals]
    retry_failed: bool


class DeliveryService:
    def __init__(self, workspace: Workspace, variants: VariantService, goals: GoalMaker) -> None:
        self._workspace = workspace
        self._variants = variants
        self._goals = goals

    def push(
        self,
        label: str,
        selectors: list[str],
        slot: str,
        progress: ProgressCallback,
        goals: PushGoals = NO_GOALS,
        *,
        retry_failed: bool = False,
        tell: StateCallback | None = None,
    ) -> list[dict[str, Any]]:
        """One result a device; what fails on one device does not keep it from the others.

        Several devices are served at once. A device whose slot runs this very file already is left alone, with goals
        only where `retry_failed` says that they were checked before. `tell` hears each device's state.
        """
        check_name(slot, "slot")
        devices = select(self._workspace.store.devices, selectors)
        self._variants.show(label, None)  # a name that nobody knows is wrong for every device
        targets = sorted({device.target for device in devices}) if goals.any else []
        checks = {target: self._goals.make(label, target, goals, progress) for target in targets}
        order = _Order(label, slot, checks, retry_failed)
        return in_parallel(devices, lambda device, each: self._push_one(order, device, each), progress, tell)

    def _push_one(self, order: _Order, device: DeviceRecord, progress: ProgressCallback) -> dict[str, Any]:
        result: dict[str, Any] = {
            "device": device.name,
            "variant": order.label,
            "slot": order.slot,
            "sha256": None,
            "sent_bytes": 0,
            "active": False,
            "unchanged": False,
            "checks": None,
            "error": None,
        }
        try:
            with self._workspace.connect(device) as client:
                record = self._variants.for_target(order.label, device.target)
                result["sha256"] = file_of(record).sha256
                checked = order.checks.get(device.target)
                if checked is None or order.retry_failed:
                    result["unchanged"] = _is_active(client, order.slot, record)
                if not result["unchanged"]:
                    result["sent_bytes"] = self.transfer(client, device, record, progress)
                    result["checks"] = self._activate(client, device, order.slot, record, checked, progress)
                result["active"] = True
        except EdgewrightError as failure:
            if failure.code is ErrorCode.CANCELLED:
                raise
            result["error"] = failure.as_json()["error"]
            return result
        if not result["unchanged"]:
            self._note(device, order.slot, order.label, result["sha256"])
        return result

    def _activate(
        self,
        client: AgentClient,
        device: DeviceRecord,
        slot: str,
        record: VariantRecord,
        checked: CheckedGoals | None,
        progress: ProgressCallback,
    ) -> dict[str, Any] | None:
        """What was found on the device, or None where nothing was asked."""
        from edgewright.devices.transfer import push_file

        if checked is None:
            text = f"load {record.label} on {device.name}"
            progress(ProgressEvent(text, 0, 1))
            client.deploy(slot, candidate_of(record))
            progress(ProgressEvent(text, 1, 1))
            return None
        for path, sha256 in checked.files:
            push_file(client, path, sha256, f"send golden inputs to {device.name}", progress)
        text = f"check {record.label} on {device.name}"
        progress(ProgressEvent(text, 0, 1))
        checks = client.deploy_checked(slot, candidate_of(record), checked.goals)[1]
        progress(ProgressEvent(text, 1, 1))
        return checks_document(checks)

    def rollback(
        self, selectors: list[str], slot: str, progress: ProgressCallback, tell: StateCallback | None = None
    ) -> list[dict[str, Any]]:
        """Makes what was active before active again, one result a device."""
        check_name(slot, "slot")
        devices = select(self._workspace.store.devices, selectors)
        return in_parallel(devices, lambda device, _: self._rollback_one(device, slot), progress, tell)

    def _rollback_one(self, device: DeviceRecord, slot: str) -> dict[str, Any]:
        result: dict[str, Any] = {
            "device": device.name,
            "slot": slot,
            "variant": None,
            "sha256": None,
            "left": None,
            "error": None,
        }
        try:
            with self._workspace.connect(device) as client:
                active = next((one for one in client.deployments() if one.slot == slot), None)
                deployment = client.rollback(slot, "" if active is None else active.sha256)
        except EdgewrightError as failure:
            if failure.code is ErrorCode.CANCELLED:
                raise
            result["error"] = failure.as_json()["error"]
            return result
        self._note(device, slot, deployment.label, deployment.sha256)
        left = "" if active is None else active.label
        return {**result, "variant": deployment.label, "sha256": deployment.sha256, "left": left}

    def _note(self, device: DeviceRecord, slot: str, label: str, sha256: str) -> None:
        self._workspace.store.devices.add_deployment(DeploymentRecord(device.name, slot, label, sha256))

    def transfer(
        self, client: AgentClient, device: DeviceRecord, record: VariantRecord, progress: ProgressCallback
    ) -> int:
        """Brings a variant's file to a device; returns the bytes sent, 0 when it was there."""
        from edgewright.devices.transfer import push_file

        artifact = file_of(record)
        path = self._workspace.store.artifacts.path_of(artifact.sha256)
        text = f"push {record.label} to {device.name}"
        sent = push_file(client, path, artifact.sha256, text, progress)
        self._workspace.store.devices.add_push(
            PushRecord(device.name, record.label, artifact.sha256, artifact.size_bytes, sent)
        )
        return sent


def candidate_of(record: VariantRecord, runtime: str | None = None, threads: int = 1) -> Candidate:
    """What an agent is asked to run."""
    artifact = file_of(record)
    return Candidate(
        label=record.label,
        sha256=artifact.sha256,
        format=artifact.format,
        runtime=runtime or RUNTIME_OF_FORMAT[artifact.format],
        threads=threads,
    )


def _is_active(client: AgentClient, slot: str, record: VariantRecord) -> bool:
    """Whether the slot runs exactly what a push would put there, and its file is still on the device."""
    wanted = candidate_of(record)
    for one in client.deployments():
        if one.slot == slot:
            now = Candidate(one.label, one.sha256, one.format, one.runtime, one.threads)
            return now == wanted and client.query_artifact(wanted.sha256).complete
    return False


def checks_document(checks: DeployChecks) -> dict[str, Any]:
    """What was found on the device, as `--json` shows it."""
    timed = checks.samples > 0
    plain: dict[str, Any] = to_plain(
        {
            "samples": checks.samples,
            "latency_ns": {"p50": checks.p50_ns, "p90": checks.p90_ns} if timed else None,
            "golden": checks.count,
            "sqnr_db": checks.sqnr_db,  # None: equal
            "agreement": checks.agreement,
            "drop": checks.drop,
        }
    )
    return plain
