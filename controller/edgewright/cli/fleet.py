"""What commands on several devices have in common: which devices, what failed, and the exit status for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgewright.cli.terminal import Terminal
from edgewright_contract.errors import CATALOGUE, EXIT_DONE, EXIT_FAILED, EXIT_GOAL_MISSED, EdgewrightError, ErrorCode


def chosen(arguments: Sequence[str] | None, options: Sequence[str] | None) -> list[str]:
    """The selectors of a command that takes them both ways. Raises USAGE where there is none."""
    selectors = [*(arguments or ()), *(options or ())]
    if not selectors:
        raise EdgewrightError(ErrorCode.USAGE, "no device is named", "name devices, tag:NAME or all")
    return selectors


def several(selectors: Sequence[str]) -> bool:
    """Whether these may stand for more than one device."""
    return len(selectors) > 1 or selectors[0] == "all" or selectors[0].startswith("tag:")


def show_errors(terminal: Terminal, results: Sequence[dict[str, Any]]) -> None:
    for result in results:
        if result["error"] is not None:
            terminal.warning(f"{result['device']}: {result['error']['message']}")
            if result["error"]["hint"]:
                terminal.info(f"  next: {result['error']['hint']}")
    failed = sum(result["error"] is not None for result in results)
    if failed and len(results) > 1:
        terminal.warning(f"{failed} of {len(results)} devices failed; the others are done")


def exit_status(results: Sequence[dict[str, Any]]) -> int:
    """0 where all went well, 3 where nothing worse happened than a missed goal, else 1 (2: the same wrong input)."""
    codes = {ErrorCode(result["error"]["code"]) for result in results if result["error"] is not None}
    statuses = {CATALOGUE[code].exit_status for code in codes}
    if not statuses:
        return EXIT_DONE
    if statuses == {EXIT_GOAL_MISSED}:
        return EXIT_GOAL_MISSED
    return statuses.pop() if len(results) == 1 else EXIT_FAILED
