"""Many devices at once: which ones are meant, and one piece of work on each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event
from typing import Any

from edgewright.core.values import ProgressCallback, ProgressEvent
from edgewright.store.devices import Devices
from edgewright.store.records import DeviceRecord
from edgewright_contract.errors import EdgewrightError, ErrorCode

AT_ONCE = 16
ALL = "all"
TAG = "tag:"

StateCallback = Callable[[str, str], None]  # a device's name and what it is at
Work = Callable[[DeviceRecord, ProgressCallback], dict[str, Any]]


def select(devices: Devices, selectors: Sequence[str]) -> list[DeviceRecord]:
    """The devices that names, `tag:NAME` and `all` stand for, each once, in that order.

    Raises DEVICE_UNKNOWN where a selector stands for none.
    """
    found: dict[str, DeviceRecord] = {}
    for selector in selectors:
        if selector == ALL or selector.startswith(TAG):
            known = devices.list()
            tag = selector.removeprefix(TAG)
            chosen = [record for record in known if selector == ALL or tag in record.tags]
            if not chosen:
                raise _nobody(selector, known)
        else:
            chosen = [devices.get(selector)]
        found.update((record.name, record) for record in chosen)
    return list(found.values())


def _nobody(selector: str, known: Sequence[DeviceRecord]) -> EdgewrightError:
    tags = ", ".join(sorted({tag for record in known for tag in record.tags})) or "none"
    if not known:
        return EdgewrightError(
            ErrorCode.DEVICE_UNKNOWN, "there are no devices yet", "edgewright device add NAME HOST:PORT --code CODE"
        )
    return EdgewrightError(
        ErrorCode.DEVICE_UNKNOWN,
        f"no device has what {selector!r} asks for; tags in use: {tags}",
        "`edgewright device tag NAME TAG` tags a device, `edgewright device list` shows them",
    )


def in_parallel(
    devices: Sequence[DeviceRecord],
    work: Work,
    progress: ProgressCallback,
    tell: StateCallback | None = None,
) -> list[dict[str, Any]]:
    """`work` on every device, AT_ONCE of them at a time; results in the order of `devices`.

    With `tell`, a device's progress becomes its state there. When `work` raises (errors of one device are in its
    result, so this is Ctrl-C or a defect), nothing new begins, transfers stop at their next chunk, and it is raised.
    """
    stopped = Event()

    def one(device: DeviceRecord) -> dict[str, Any]:
        show = progress if tell is None else _as_state(device.name, tell)

        def checked(event: ProgressEvent) -> None:
            if stopped.is_set():
                raise EdgewrightError(ErrorCode.CANCELLED, "cancelled")
            show(event)

        if stopped.is_set():
            raise EdgewrightError(ErrorCode.CANCELLED, "cancelled")
        if tell is not None:
            tell(device.name, "starts")
        result = work(device, checked)
        if tell is not None:
            error = result["error"]
            tell(device.name, "done" if error is None else f"failed: {error['message']}")
        return result

    if len(devices) == 1:
        return [one(devices[0])]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fleet") as pool:
        futures = [pool.submit(one, device) for device in devices]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            return [future.result() for future in futures]
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def on_all(
    devices: Sequence[DeviceRecord],
    work: Callable[[DeviceRecord, ProgressCallback], list[dict[str, Any]]],
    progress: ProgressCallback,
) -> list[dict[str, Any]]:
    """What `work` stores and gives for every device, in order.

    One that fails does not stop the others: its error is raised once all have ended, saying what is there and what to
    run again.
    """

    def one(device: DeviceRecord, each: ProgressCallback) -> dict[str, Any]:
        try:
            return {"rows": work(device, each), "error": None}
        except EdgewrightError as failure:
            if failure.code is ErrorCode.CANCELLED or len(devices) == 1:
                raise
            return {"rows": [], "error": failure}

    answers = in_parallel(devices, one, progress)
    failed = [
        (device.name, answer["error"]) for device, answer in zip(devices, answers, strict=True) if answer["error"]
    ]
    if failed:
        again = " ".join(f"--device {name}" for name, _ in failed)
        raise EdgewrightError(
            failed[0][1].code,
            f"{len(failed)} of {len(devices)} devices failed: "
            + "; ".join(f"{name}: {error.message}" for name, error in failed),
            f"the results of the others are stored; run it again with {again}",
        )
    return [row for answer in answers for row in answer["rows"]]


def _as_state(name: str, tell: StateCallback) -> ProgressCallback:
    def show(event: ProgressEvent) -> None:
        text = event.text.removesuffix(f" to {name}").removesuffix(f" on {name}")
        tell(name, f"{text} {100 * event.done // event.total} %" if event.total > 1 else text)

    return show
