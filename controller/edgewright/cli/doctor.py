"""`edgewright doctor`: is this installation sound, and does every device answer?"""

from __future__ import annotations

import typer

from edgewright.cli.session import session_of
from edgewright_contract.errors import EXIT_FAILED

HELP = """Check this installation, the home folder and every device; each finding says what to do next.

\b
Example:
  edgewright doctor
"""


def doctor(context: typer.Context) -> None:
    session = session_of(context)
    from edgewright.services.doctor import examine

    findings = examine(session.home, session.controller)
    session.terminal.document({"findings": findings})
    rows = [[finding["state"], finding["check"], finding["text"]] for finding in findings]
    session.terminal.table(["state", "check", "finding"], rows)
    for finding in findings:
        if finding["hint"]:
            session.terminal.line(f"  {finding['check']}: {finding['hint']}")
    if any(finding["state"] == "failed" for finding in findings):
        raise typer.Exit(EXIT_FAILED)
