"""The agent as a service: the unit, and its installation into another root."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgewright_agent.service import _blocked
from edgewright_agent.service_unit import ServiceOptions, unit_text
from edgewright_contract.errors import EdgewrightError
from tests.agent.harness import run_agent

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="systemd-sysusers needs root")
NEEDS_SYSTEMD = pytest.mark.skipif(
    shutil.which("systemctl") is None or shutil.which("systemd-sysusers") is None, reason="no systemd programs here"
)


def service(root: Path, *arguments: str, status: int = 0) -> dict[str, Any]:
    done = run_agent("service", *arguments, "--root", str(root), "--json")
    assert done.returncode == status, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty system."""
    folder = tmp_path / "root"
    (folder / "etc").mkdir(parents=True)
    return folder


def test_dry_run_prints_the_unit_and_changes_nothing(root: Path) -> None:
    """The text is the whole unit, options and all, and nothing is written."""
    done = run_agent("service", "install", "--dry-run", "--port", "7000", "--quota-bytes", "5", "--root", str(root))
    assert done.returncode == 0
    assert " serve --host 0.0.0.0 --port 7000 --state /var/lib/edgewright-agent --quota-bytes 5\n" in done.stdout
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "User=edgewright"):
        assert f"\n{line}\n" in done.stdout
    assert sorted(path.name for path in root.rglob("*")) == ["etc"]


def test_values_cannot_leave_their_line() -> None:
    """What systemd would expand or split in a path is escaped."""
    text = unit_text(ServiceOptions(python='/opt/my agent/100%/$HOME/"x"/python'))
    assert 'ExecStart="/opt/my agent/100%%/$$HOME/\\"x\\"/python" -m edgewright_agent serve' in text


@pytest.mark.parametrize(
    "changes",
    [{"user": "root"}, {"user": "a\nb"}, {"user": "a b"}, {"port": 0}, {"port": 70000}, {"host": "x y"},
     {"host": "1\nUser=root"}, {"quota_bytes": -1}, {"memory_limit_mib": -1}],
)  # fmt: skip
def test_options_are_checked(changes: dict[str, Any]) -> None:
    """Nothing that is no user, port, host or size gets into a unit."""
    with pytest.raises(EdgewrightError) as caught:
        ServiceOptions(python="/opt/python", **changes)
    assert caught.value.code.value == "option_invalid"


def test_a_python_that_others_cannot_reach_is_named(tmp_path: Path) -> None:
    """A closed folder on the way is found before anything is installed."""
    closed = tmp_path / "closed"
    (closed / "bin").mkdir(parents=True)
    closed.chmod(0o700)
    assert str(closed) in _blocked(closed / "bin" / "python")
    assert _blocked(Path("/usr/bin/python3")) == ""


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
@pytest.mark.parametrize("devices", [False, True])
def test_systemd_accepts_the_unit(tmp_path: Path, devices: bool) -> None:
    """`systemd-analyze verify` has nothing to say, and rates its exposure as low."""
    unit = tmp_path / "edgewright-agent.service"
    # A user that exists wherever the test runs: verify looks it up.
    unit.write_text(unit_text(ServiceOptions(python="/usr/bin/env", user="daemon", devices=devices)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert unit.name not in done.stderr, done.stderr
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", str(unit)], capture_output=True, text=True, check=False
    )
    exposure = re.search(r"Overall exposure level.*?: ([0-9.]+)", rated.stdout)
    if exposure is None:
        pytest.skip(f"systemd-analyze security works on no file here: {rated.stderr.strip()}")
    assert float(exposure[1]) < 3.0


@ROOT_ONLY
@NEEDS_SYSTEMD
def test_installed_and_removed(root: Path) -> None:
    """User, unit and link are there after install, twice as once; uninstall leaves the state alone, purge does not."""
    if _blocked(Path(sys.executable)):
        pytest.skip("the test's own Python lies in a folder closed to other users")
    assert service(root, "status", status=1)["installed"] is False
    for _ in range(2):
        assert service(root, "install", "--port", "7000")["installed"]
        unit = root / "etc/systemd/system/edgewright-agent.service"
        assert "--port 7000" in unit.read_text()
        assert unit.stat().st_mode & 0o777 == 0o644
        (user,) = [line for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("edgewright:")]
        assert user.rsplit(":", 1)[1].endswith("nologin")
    shown = service(root, "status")
    assert (shown["installed"], shown["enabled"], shown["active"]) == (True, True, "unknown")

    state = root / "var/lib/edgewright-agent"
    state.mkdir(parents=True)
    assert service(root, "uninstall") == {"uninstalled": True, "state_kept": str(state)}
    assert service(root, "uninstall")["uninstalled"] is False
    assert service(root, "status", status=1)["enabled"] is False
    assert not [path for path in root.rglob("*") if "edgewright-agent." in path.name]
    assert service(root, "uninstall", "--purge")["state_kept"] is None
    assert not state.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_only_root_installs() -> None:
    """Anybody else is told how, and nothing happens."""
    done = run_agent("service", "uninstall", "--json")
    assert json.loads(done.stdout)["error"]["code"] == "permission_denied"
