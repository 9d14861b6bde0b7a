"""Result files: what is written can be verified anywhere, and no altered byte goes unnoticed."""

from __future__ import annotations

import csv
import io
import json
import random
import zipfile
from pathlib import Path

import pytest

from edgewright.core.benchmark import RULES_VERSION
from edgewright.core.result_bundle import bundle_bytes, manifest_of, read_bundle
from edgewright.services.result_files import verify_result_file
from edgewright.services.results import ResultService
from edgewright.services.signatures import sign
from edgewright_contract.certificates import create_identity, fingerprint
from edgewright_contract.errors import EdgewrightError, ErrorCode
from tests.results.conftest import Measure

NOWHERE = Path("no-home-folder")


@pytest.fixture
def exported(service: ResultService, measure: Measure, tmp_path: Path) -> Path:
    destination = tmp_path / "net.ewr"
    service.export(measure()[1], destination, force=False)
    return destination


def refused(path: Path, **options: str) -> EdgewrightError:
    with pytest.raises(EdgewrightError) as caught:
        verify_result_file(path, NOWHERE, **options)
    return caught.value


def rewritten(path: Path, change: dict[str, bytes], about: dict[str, object] | None = None) -> bytes:
    """The bundle with other parts, hashed and signed anew by a stranger: a forgery without a fault in its form."""
    bundle = read_bundle(path.read_bytes())
    assert bundle is not None
    parts = {item["name"]: bundle.parts[item["name"]].data for item in bundle.manifest["parts"]} | change
    old = {key: value for key, value in bundle.manifest.items() if key != "parts"}
    manifest = manifest_of(parts, {**old, **(about or {})})
    return bundle_bytes(manifest, {"signatures": [sign("controller", create_identity("x"), manifest)]}, parts)


def test_a_result_file_is_verified_without_its_home_folder(exported: Path, home: Path) -> None:
    """Bytes, signature and figures hold; what is not signed and what is not recomputed is said."""
    away = verify_result_file(exported, NOWHERE)
    here = verify_result_file(exported, home)

    assert away["verified"]
    assert [item["variant"] for item in away["results"]] == ["net@base", "net@acc1"]
    assert not away["signed_by"][0]["this_controller"]
    assert here["signed_by"][0]["this_controller"]
    assert "agent" in away["not_signed"][0]
    assert "parity" in away["taken_as_recorded"][0]
    assert verify_result_file(exported, NOWHERE, away["signed_by"][0]["fingerprint"][:12])["verified"]


def test_any_unzip_reads_it(exported: Path) -> None:
    """Python's zipfile finds every part whole."""
    with zipfile.ZipFile(exported) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) >= {"manifest.json", "signatures.json", "samples.jsonl", "result.json"}


def test_no_altered_byte_goes_unnoticed(exported: Path) -> None:
    """One bit turned at 120 random places and at both ends: each is refused, and the place lies in a range named."""
    data = exported.read_bytes()
    dice = random.Random(0)
    for place in [0, len(data) - 1, *(dice.randrange(len(data)) for _ in range(120))]:
        broken = bytearray(data)
        broken[place] ^= 1 << dice.randrange(8)
        bundle = read_bundle(bytes(broken))
        if bundle is None:
            continue  # no manifest is found: not a result file at all
        assert any(damage.start <= place <= damage.end for damage in bundle.damages), place


def test_the_altered_part_and_its_bytes_are_named(exported: Path) -> None:
    """A sample made faster by hand: the message has the part, and a range of at most 64 KiB."""
    data = exported.read_bytes()
    place = data.rindex(b'"samples_ns"') + 20
    exported.write_bytes(data[:place] + (b"1" if data[place : place + 1] != b"1" else b"2") + data[place + 1 :])

    error = refused(exported)

    assert error.code is ErrorCode.RESULT_CORRUPT
    assert "samples.jsonl" in error.message
    assert "bytes " in error.message


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.95, 0.9999])
def test_a_cut_file_is_refused(exported: Path, share: float) -> None:
    """Wherever it was cut, it is refused by code."""
    data = exported.read_bytes()
    exported.write_bytes(data[: int(share * len(data))])
    assert refused(exported).code is ErrorCode.RESULT_CORRUPT


def test_figures_must_follow_from_the_samples(exported: Path) -> None:
    """A forger who hashes and signs anew cannot keep a figure that the samples do not give: its path is named."""
    bundle = read_bundle(exported.read_bytes())
    assert bundle is not None
    result = bundle.result()
    result["summary"]["candidates"][1]["latency_ns"]["p90"] /= 2
    exported.write_bytes(rewritten(exported, {"result.json": json.dumps(result).encode()}))

    assert "candidates[1].latency_ns.p90" in refused(exported).message


def test_a_strangers_signature_is_seen(exported: Path, home: Path) -> None:
    """Hashed and signed anew by another key: refused where the signer is given, and never "this controller"."""
    mine = fingerprint((home / "identity" / "cert.pem").read_bytes())
    exported.write_bytes(rewritten(exported, {}))

    assert not verify_result_file(exported, home)["signed_by"][0]["this_controller"]
    assert refused(exported, signer=mine).code is ErrorCode.RESULT_CORRUPT
    assert refused(exported, signer="12").code is ErrorCode.OPTION_INVALID


def test_other_rules_are_refused_with_the_reason(exported: Path) -> None:
    """A file of other rules: intact, yet its figures are not judged by ours."""
    exported.write_bytes(rewritten(exported, {}, {"rules": RULES_VERSION + 1}))
    error = refused(exported)
    assert error.code is ErrorCode.RESULT_VERSION
    assert f"rules {RULES_VERSION + 1}" in error.message


@pytest.mark.parametrize("content", [b"", b"PK", b"{}", b"PK\x03\x04" + bytes(40), b"\x00" * 1000])
def test_what_is_no_result_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """Foreign bytes give a code, never a traceback."""
    path = tmp_path / "x.ewr"
    path.write_bytes(content)
    assert refused(path).code is ErrorCode.RESULT_CORRUPT
    assert refused(tmp_path / "none.ewr").code is ErrorCode.FILE_NOT_FOUND


def test_an_older_result_is_migrated(service: ResultService, measure: Measure, tmp_path: Path) -> None:
    """Raw data of before these fields existed: exported with figures computed anew, and verified."""
    document = service.export(measure(old=True)[0], tmp_path / "old.ewr", force=False)

    assert document["migrated"]
    verified = verify_result_file(tmp_path / "old.ewr", NOWHERE)
    assert [item["verdict"] for item in verified["results"]] == ["valid", "valid"]


def test_csv_has_every_sample(service: ResultService, measure: Measure, tmp_path: Path) -> None:
    """2 variants x 5 processes x 12 blocks x 50 samples, one row each; and the list of results as a table."""
    number = measure()[0]
    service.export(number, tmp_path / "s.csv", force=False)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "s.csv").read_text())))
    service.export_table(service.list(None, None, None), tmp_path / "t.csv", force=False)
    table = list(csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text())))

    assert len(rows) == 6000
    assert {row["variant"] for row in rows} == {"net@base", "net@acc1"}
    assert [row["variant"] for row in table] == ["net@acc1", "net@base"]
    assert float(table[0]["speedup"]) == pytest.approx(2, rel=0.03)


def test_nothing_is_overwritten_unasked(service: ResultService, measure: Measure, tmp_path: Path) -> None:
    """An existing file stays without --force; other endings are refused."""
    number = measure()[0]
    (tmp_path / "a.ewr").write_text("mine")
    for name in ("a.ewr", "a.txt"):
        with pytest.raises(EdgewrightError) as caught:
            service.export(number, tmp_path / name, force=False)
        assert caught.value.code is ErrorCode.OPTION_INVALID
    assert (tmp_path / "a.ewr").read_text() == "mine"
    service.export(number, tmp_path / "a.ewr", force=True)
    assert verify_result_file(tmp_path / "a.ewr", NOWHERE)["verified"]
