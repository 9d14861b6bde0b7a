"""What needs `cryptography`, done in a short-lived child: importing it would cost the idle agent 10 MiB.

The child reads one JSON request from its standard input and answers with one JSON document.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Sequence

from edgewright_contract import certificates, pairing
from edgewright_contract.errors import EdgewrightError, ErrorCode

_TIMEOUT_S = 60.0  # an emulated board needs seconds


def first_start(folder: Path, common_name: str, secret: bytes) -> bytes:
    """Make the identity in `folder`, if there is none, and the root certificate of a first pairing code."""
    certificates.load_or_create(folder, common_name)
    return pairing.pairing_root(secret)


def canonical_certificate(cert_pem: bytes) -> bytes:
    return certificates.canonical_certificate(cert_pem)


class KeyMaker:
    """The functions above, each in a child process of its own."""

    def __init__(self, python: Sequence[str]) -> None:
        self._argv = [*python, "-m", "edgewright_agent.keys"]

    def first_start(self, folder: Path, common_name: str, secret: bytes) -> bytes:
        request = {"do": "first_start", "folder": str(folder), "common_name": common_name}
        return self._ask({**request, "secret": secret.hex()}).encode("ascii")

    def canonical_certificate(self, cert_pem: bytes) -> bytes:
        """Raises CERTIFICATE_MISMATCH where `cert_pem` is not what a controller shows."""
        text = cert_pem.decode("ascii", "replace")
        return self._ask({"do": "canonical_certificate", "certificate": text}).encode("ascii")

    def _ask(self, request: dict[str, str]) -> str:
        done = subprocess.run(
            self._argv,
            input=json.dumps(request).encode("utf-8"),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        try:
            answer = json.loads(done.stdout)
        except ValueError as error:
            said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise EdgewrightError(
                ErrorCode.DEPENDENCY_MISSING,
                f"keys cannot be made here: {said or f'exit status {done.returncode}'}",
                "check that the package `cryptography` can be imported by the agent's Python",
            ) from error
        if "error" in answer:
            told = answer["error"]
            raise EdgewrightError(ErrorCode(told["code"]), told["message"], told["hint"])
        return str(answer["result"])


def _answer(request: dict[str, str]) -> str:
    if request["do"] == "first_start":
        secret = bytes.fromhex(request["secret"])
        return first_start(Path(request["folder"]), request["common_name"], secret).decode("ascii")
    return canonical_certificate(request["certificate"].encode("utf-8")).decode("ascii")


def main() -> int:
    try:
        answer: dict[str, object] = {"result": _answer(json.load(sys.stdin))}
    except EdgewrightError as error:
        answer = dict(error.as_json())
    except OSError as error:
        code, text = ErrorCode.AGENT_STATE_UNUSABLE.value, str(error)
        answer = {"error": {"code": code, "message": text, "hint": "check the state folder"}}
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
