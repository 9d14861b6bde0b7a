"""Every noun of the store: kept as given, unknown and double names refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from store_examples import a_dataset, a_deployment, a_device, a_model, a_result, a_variant

from edgewright.store.records import PushRecord, VariantArtifact
from edgewright.store.store import Store
from edgewright_contract.errors import EdgewrightError, ErrorCode


def test_a_model_is_kept_as_given(store: Store, home: Path) -> None:
    """What was added is what another opening of the same home gets."""
    added = store.models.add(a_model())

    with Store.open(home) as again:
        assert again.models.get("lite0") == added
        assert again.models.list() == (added,)
        assert again.models.find("other") is None


def test_a_model_is_refused_under_a_taken_name(store: Store) -> None:
    """The second model of a name is MODEL_EXISTS and the first stays."""
    store.models.add(a_model())

    with pytest.raises(EdgewrightError) as caught:
        store.models.add(replace(a_model(), task="tensor"))

    assert caught.value.code is ErrorCode.MODEL_EXISTS
    assert store.models.get("lite0").task == "classification"


def test_an_unknown_model_names_the_nearest(store: Store) -> None:
    """A misspelt name is answered with the names that look like it."""
    store.models.add(a_model("lite0"))
    store.models.add(a_model("resnet"))

    with pytest.raises(EdgewrightError) as caught:
        store.models.get("Lite")

    assert caught.value.code is ErrorCode.MODEL_UNKNOWN
    assert "'Lite'" in caught.value.message
    assert "Did you mean lite0?" in caught.value.hint


@pytest.mark.parametrize("name", ["", "-x", "a" * 65, "a b", "a/b", "../a", "a@b", "é", "a\n"])
def test_a_bad_name_is_refused(store: Store, name: str) -> None:
    """Names that could be paths, options or variants are NAME_INVALID."""
    for add in (
        lambda: store.models.add(a_model(name)),
        lambda: store.devices.add(a_device(name)),
        lambda: store.datasets.add(a_dataset(name)),
    ):
        with pytest.raises(EdgewrightError) as caught:
            add()
        assert caught.value.code is ErrorCode.NAME_INVALID


def test_a_data_set_keeps_samples_and_skipped(store: Store) -> None:
    """A data set comes back equal, and its record counts without reading the samples."""
    given = a_dataset(count=1000)

    record = store.datasets.add(given)

    assert store.datasets.get("im") == given
    assert (record.sample_count, record.skipped_count) == (1000, 1)
    assert store.datasets.list() == (record,)


def test_a_data_set_keeps_file_names_that_are_not_text(store: Store) -> None:
    """A file name with undecodable bytes (a lone surrogate in Python) survives."""
    given = a_dataset()
    odd = replace(given, samples=(replace(given.samples[0], file="caf\udce9.jpg"),))

    store.datasets.add(odd)

    assert store.datasets.get("im") == odd


def test_a_used_data_set_is_not_removed(store: Store) -> None:
    """A data set that a model names stays until the model is gone."""
    store.datasets.add(a_dataset())
    store.models.add(a_model(dataset="im"))

    with pytest.raises(EdgewrightError) as caught:
        store.datasets.remove("im")
    assert caught.value.code is ErrorCode.DATASET_IN_USE

    store.models.remove("lite0")
    store.datasets.remove("im")
    assert store.datasets.list() == ()


def test_a_variant_replaces_its_equal_and_only_that(store: Store) -> None:
    """One variant per (model, name, target); its artifacts go with it."""
    store.models.add(a_model())
    store.variants.put(a_variant())
    store.variants.put(a_variant(target="armv8"))
    newer = replace(
        a_variant(),
        recipe_key="k2",
        artifacts=(
            VariantArtifact("onnx", "x86-vnni", "c" * 64, 4_000_000),
            VariantArtifact("tflite", "x86-vnni", "d" * 64, 4_100_000),
        ),
    )

    newer = store.variants.put(newer)

    assert store.variants.find("lite0", "acc1", "x86-vnni") == newer
    assert newer.artifact("tflite") == newer.artifacts[1]
    assert [record.target for record in store.variants.list("lite0")] == ["armv8", "x86-vnni"]
    assert store.variants.get("lite0", "acc1").recipe_key == "k2"


def test_an_unknown_variant_says_what_there_is(store: Store) -> None:
    """Wrong model, wrong name and wrong target are told apart."""
    store.models.add(a_model())
    store.variants.put(a_variant())

    for arguments, code, words in (
        (("lite1", "acc1"), ErrorCode.MODEL_UNKNOWN, "lite0"),
        (("lite0", "acc9"), ErrorCode.VARIANT_UNKNOWN, "lite0@acc1"),
        (("lite0", "acc1", "armv8"), ErrorCode.VARIANT_UNKNOWN, "x86-vnni"),
    ):
        with pytest.raises(EdgewrightError) as caught:
            store.variants.get(*arguments)
        assert caught.value.code is code
        assert words in caught.value.message + caught.value.hint


def test_a_variant_of_no_model_is_refused(store: Store) -> None:
    """A variant needs its model."""
    with pytest.raises(EdgewrightError) as caught:
        store.variants.put(a_variant())
    assert caught.value.code is ErrorCode.MODEL_UNKNOWN


def test_removing_a_model_takes_variants_and_results_along(store: Store) -> None:
    """Nothing of the old model can be mistaken for a later one of the same name; others' results stay."""
    store.models.add(a_model("lite0"))
    store.models.add(a_model("lite0x"))
    store.variants.put(a_variant())
    store.benchmarks.add([a_result(), a_result("lite0x@acc1")])
    store.evaluations.add([a_result()])

    store.models.remove("lite0")
    store.models.add(a_model("lite0"))

    assert store.variants.list() == ()
    assert [record.variant for record in store.benchmarks.list()] == ["lite0x@acc1"]
    assert store.evaluations.list() == ()


def test_a_model_active_on_a_device_is_not_removed(store: Store) -> None:
    """MODEL_IN_USE names the device; after the device is forgotten the model can go."""
    store.models.add(a_model())
    store.variants.put(a_variant())
    store.devices.add(a_device())
    store.devices.add_deployment(a_deployment())

    for remove in (lambda: store.models.remove("lite0"), lambda: store.variants.remove("lite0", "acc1")):
        with pytest.raises(EdgewrightError) as caught:
            remove()
        assert caught.value.code is ErrorCode.MODEL_IN_USE
        assert "bench1" in caught.value.message

    store.devices.remove("bench1")
    assert store.variants.remove("lite0", "acc1") == 1
    store.models.remove("lite0")
    assert store.models.list() == ()


def test_a_slot_has_one_active_deployment(store: Store) -> None:
    """A new deployment makes the one before inactive, in its slot only."""
    store.devices.add(a_device())
    store.devices.add_deployment(a_deployment("lite0@base"))
    store.devices.add_deployment(a_deployment("other@acc1", slot="side"))
    store.devices.add_deployment(a_deployment("lite0@acc1"))

    active = store.devices.list_deployments("bench1", active_only=True)

    assert [(record.slot, record.variant) for record in active] == [
        ("side", "other@acc1"),
        ("default", "lite0@acc1"),
    ]
    assert len(store.devices.list_deployments("bench1")) == 3


def test_device_facts_are_refreshed(store: Store) -> None:
    """`seen` stores facts, target and time, and leaves the identity alone."""
    added = store.devices.add(a_device())

    seen = store.devices.seen("bench1", {"cores": 4}, "x86-avx2")

    assert (seen.facts, seen.target) == ({"cores": 4}, "x86-avx2")
    assert seen.last_seen > added.last_seen
    assert seen.fingerprint == added.fingerprint


def test_pushes_need_their_device(store: Store) -> None:
    """A push to a device that was removed meanwhile is DEVICE_UNKNOWN; a normal one is listed."""
    record = PushRecord("bench1", "lite0@acc1", "b" * 64, 10, 10)
    with pytest.raises(EdgewrightError) as caught:
        store.devices.add_push(record)
    assert caught.value.code is ErrorCode.DEVICE_UNKNOWN

    store.devices.add(a_device())
    assert store.devices.list_pushes("bench1") == ()
    added = store.devices.add_push(record)
    assert store.devices.list_pushes("bench1") == (added,)


def test_the_latest_result_of_each_variant_and_device(store: Store) -> None:
    """`latest` has the newest run of each pair; `list` filters by run, model and variant."""
    store.benchmarks.add([a_result("lite0@base", "r1"), a_result("lite0@acc1", "r1")])
    store.benchmarks.add([a_result("lite0@acc1", "r2"), a_result("lite0@acc1", "r2", device="pi")])

    latest = store.benchmarks.latest("lite0")

    assert [(record.variant, record.run_id, record.device) for record in latest] == [
        ("lite0@base", "r1", "bench1"),
        ("lite0@acc1", "r2", "bench1"),
        ("lite0@acc1", "r2", "pi"),
    ]
    assert len(store.benchmarks.list(run_id="r1")) == 2
    assert len(store.benchmarks.list(variant="lite0@acc1")) == 3
    assert store.benchmarks.list(model="lite") == ()


def test_numbers_json_lacks_are_stored_as_none(store: Store) -> None:
    """Infinity and NaN become null, which every database and browser reads."""
    store.models.add(replace(a_model(), facts={"sqnr_db": float("inf"), "drop": float("nan")}))

    assert store.models.get("lite0").facts == {"sqnr_db": None, "drop": None}
