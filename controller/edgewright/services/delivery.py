"""Use case: push a variant to devices and make it active."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.core.names import check_name
from edgewright.core.values import ProgressCallback
from edgewright.services.variants import VariantService, file_of
from edgewright.services.workspace import Workspace
from edgewright.store.records import DeploymentRecord, DeviceRecord, PushRecord, VariantRecord
from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import Candidate

if TYPE_CHECKING:
    from edgewright.devices.client import AgentClient

RUNTIME_OF_FORMAT = {"onnx": "onnxruntime", "tflite": "tflite"}


class DeliveryService:
    def __init__(self, workspace: Workspace, variants: VariantService) -> None:
        self._workspace = workspace
        self._variants = variants

    def push(self, label: str, device_names: list[str], slot: str, progress: ProgressCallback) -> list[dict[str, Any]]:
        """One result a device; what fails on one device does not keep it from the others."""
        check_name(slot, "slot")
        devices = [self._workspace.store.devices.get(name) for name in dict.fromkeys(device_names)]
        self._variants.show(label, None)  # a name that nobody knows is wrong for every device
        return [self._push_one(label, device, slot, progress) for device in devices]

    def _push_one(self, label: str, device: DeviceRecord, slot: str, progress: ProgressCallback) -> dict[str, Any]:
        result: dict[str, Any] = {
            "device": device.name,
            "variant": label,
            "slot": slot,
            "sha256": None,
            "sent_bytes": 0,
            "active": False,
            "error": None,
        }
        try:
            with self._workspace.connect(device) as client:
                record = self._variants.for_target(label, device.target)
                result["sha256"] = file_of(record).sha256
                result["sent_bytes"] = self.transfer(client, device, record, progress)
                client.deploy(slot, candidate_of(record))
                result["active"] = True
        except EdgewrightError as failure:
            if failure.code is ErrorCode.CANCELLED:
                raise
            result["error"] = failure.as_json()["error"]
            return result
        self._workspace.store.devices.add_deployment(DeploymentRecord(device.name, slot, label, file_of(record).sha256))
        return result

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
