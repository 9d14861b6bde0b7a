"""What a variant is made for: instruction set facts of a device, and what they mean for INT8. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgewright_contract.errors import EdgewrightError, ErrorCode
from edgewright_contract.values import DeviceFacts


@dataclass(frozen=True)
class Int8Policy:
    """How a network is quantised for a target.

    `weight_bits` is 7 where 8-bit products are summed in 16 bits and would saturate (x86 without VNNI).
    `activations_signed` chooses int8 or uint8 activations; `activations_symmetric` fixes their zero point.
    `can_win` says whether INT8 is expected to be faster than FP32 at all, `reason` why.
    """

    weight_bits: int
    activations_signed: bool
    activations_symmetric: bool
    can_win: bool
    reason: str
    macs_per_conversion: float  # an island with fewer for each element converted at its borders is slower on 8 bits


TARGETS: dict[str, Int8Policy] = {
    "x86-vnni": Int8Policy(8, False, False, True, "dot products of 8-bit numbers in one instruction", 100.0),
    "x86-avx2": Int8Policy(7, False, False, True, "8-bit products without dot products: a small gain", 300.0),
    "x86": Int8Policy(7, False, False, False, "no AVX2: 8-bit arithmetic is not faster than float", 300.0),
    "armv8.2-dotprod": Int8Policy(8, True, False, True, "dot products of 8-bit numbers in one instruction", 100.0),
    "armv8": Int8Policy(8, True, False, True, "no dot products: a small gain", 300.0),
    "armv7": Int8Policy(8, True, False, False, "32-bit ARM: the runtime has no fast 8-bit kernels", 300.0),
    "other": Int8Policy(8, False, False, False, "an instruction set without known 8-bit kernels", 300.0),
}

_VNNI_FLAGS = frozenset({"avx512_vnni", "avx512vnni", "avx_vnni", "avxvnni", "amx_int8"})


def target_of(facts: DeviceFacts) -> str:
    """The target a device belongs to."""
    return target_of_cpu(facts.architecture, facts.cpu_flags)


def target_of_cpu(machine: str, cpu_flags: Iterable[str]) -> str:
    """The target of a CPU, from its architecture (as `uname -m`) and flags (as in /proc/cpuinfo)."""
    architecture = machine.lower()
    flags = frozenset(flag.lower() for flag in cpu_flags)
    if architecture in ("x86_64", "amd64", "i386", "i686", "x86"):
        if flags & _VNNI_FLAGS:
            return "x86-vnni"
        return "x86-avx2" if "avx2" in flags else "x86"
    if architecture in ("aarch64", "arm64", "armv8l"):
        return "armv8.2-dotprod" if "asimddp" in flags else "armv8"
    return "armv7" if architecture.startswith("armv7") else "other"


def int8_policy(target: str) -> Int8Policy:
    """How to quantise for `target`. Raises TARGET_UNKNOWN, listing the known ones."""
    if target not in TARGETS:
        raise EdgewrightError(
            ErrorCode.TARGET_UNKNOWN,
            f"unknown target {target!r}; known are {', '.join(TARGETS)}",
            "name one of these, or let a device decide with --device",
        )
    return TARGETS[target]
