"""Names that people choose, and what is said about a name nobody knows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from edgewright_contract.errors import EdgewrightError, ErrorCode

BASE_VARIANT = "base"
SEPARATOR = "@"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.IGNORECASE | re.ASCII)
_RULE = "1 to 64 of a-z, 0-9, '.', '_' and '-', a letter or digit first"


@dataclass(frozen=True)
class VariantName:
    """`MODEL@NAME`, taken apart."""

    model: str
    name: str

    def __str__(self) -> str:
        return f"{self.model}{SEPARATOR}{self.name}"


def check_name(name: str, kind: str) -> str:
    """Returns `name` if it may name a `kind` ("model", "device", ...); raises NAME_INVALID otherwise."""
    if not _NAME.fullmatch(name):
        raise EdgewrightError(
            ErrorCode.NAME_INVALID,
            f"{name!r} cannot name a {kind}: allowed are {_RULE}",
            "Choose another name.",
        )
    return name


def parse_variant(text: str) -> VariantName:
    """Takes "lite0@acc1" apart; raises NAME_INVALID for anything else."""
    model, separator, name = text.partition(SEPARATOR)
    if not separator:
        raise EdgewrightError(
            ErrorCode.NAME_INVALID,
            f"{text!r} does not name a variant: a variant is written MODEL{SEPARATOR}NAME",
            f"Write for example {text or 'MODEL'}{SEPARATOR}{BASE_VARIANT}; `edgewright variant list` shows them all.",
        )
    return VariantName(check_name(model, "model"), check_name(name, "variant"))


def unknown_name(code: ErrorCode, kind: str, name: str, known: Iterable[str], list_command: str) -> EdgewrightError:
    """The error for a name that is not there, with the nearest ones that are."""
    known = sorted(known)
    by_folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(name.casefold(), list(by_folded), n=3, cutoff=0.6)
    if near:
        hint = f"Did you mean {' or '.join(by_folded[match] for match in near)}? "
    elif not known:
        hint = f"There is no {kind} yet. "
    else:
        hint = ""
    return EdgewrightError(code, f"no {kind} is named {name!r}", f"{hint}`{list_command}` shows what there is.")
