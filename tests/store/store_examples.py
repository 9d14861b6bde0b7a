"""Records to store."""

from __future__ import annotations

from edgewright.core.values import Dataset, Sample, Skipped
from edgewright.store.records import (
    DeploymentRecord,
    DeviceRecord,
    ModelRecord,
    ResultRecord,
    VariantArtifact,
    VariantRecord,
)


def a_model(name: str = "lite0", dataset: str | None = None, artifact: str = "a" * 64) -> ModelRecord:
    return ModelRecord(
        name=name,
        task="classification",
        framework="onnx",
        format="onnx",
        source_sha256="5" * 64,
        artifact_sha256=artifact,
        size_bytes=18_000_000,
        spec={"input": {"size": [224, 224]}},
        dataset=dataset,
        facts={"macs": 400_000_000, "notes": ["batch made 1"]},
    )


def a_variant(model: str = "lite0", name: str = "acc1", target: str = "x86-vnni") -> VariantRecord:
    return VariantRecord(
        model=model,
        name=name,
        target=target,
        recipe_key="k1",
        level=name,
        artifacts=(VariantArtifact("onnx", target, "b" * 64, 5_000_000),),
        facts={"drop": 0.2},
    )


def a_device(name: str = "bench1") -> DeviceRecord:
    return DeviceRecord(name, "127.0.0.1:7000", "PEM", "f" * 64, facts={"cores": 2}, target="x86-vnni")


def a_deployment(variant: str = "lite0@acc1", slot: str = "default", device: str = "bench1") -> DeploymentRecord:
    return DeploymentRecord(device, slot, variant, "b" * 64)


def a_result(variant: str = "lite0@acc1", run_id: str = "r1", device: str = "bench1") -> ResultRecord:
    return ResultRecord(run_id, variant, device, {"seed": 1}, {"p50": 10}, "e" * 64, verdict="valid")


def a_dataset(name: str = "im", count: int = 3) -> Dataset:
    return Dataset(
        name=name,
        format="csv",
        path="/data/labels.csv",
        identity="1" * 64,
        seed=7,
        class_names=("cat", "dog"),
        samples=tuple(Sample(f"{index}.jpg", f"{index:064x}", index % 2) for index in range(count)),
        skipped=(Skipped("bad.jpg", "not an image"),),
    )
