"""Computing beside the window: a thread computes, the caller's thread keeps the window alive.

No Qt in here, so that it can be tested without: who calls says how events are processed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

Progress = Callable[[str, float], None]

#: Seconds between two looks at the worker; short enough for a window to feel alive.
_PATIENCE = 0.03


class Cancelled(Exception):
    """The user clicked Cancel."""


def run_beside(
    compute: Callable[[Progress], object], process_events: Callable[[], None], show: Progress, is_cancelled: Callable[[], bool]
) -> object:
    """Call ``compute(report)`` in a thread and return its result, or raise what it raised.

    Meanwhile this thread processes events and hands the newest report to ``show``. When
    ``is_cancelled`` says so, the next report raises Cancelled inside ``compute``. ``compute`` must
    not touch nodes or widgets, which belong to the main thread.
    """
    newest: list[tuple[str, float]] = []
    outcome: dict[str, object] = {}
    stop = threading.Event()

    def report(step: str, share: float) -> None:
        newest.append((step, share))
        if stop.is_set():
            raise Cancelled

    def work() -> None:
        try:
            outcome["result"] = compute(report)
        except BaseException as error:  # handed over to the thread that asked
            outcome["error"] = error

    worker = threading.Thread(target=work, name="SpineLandmarks", daemon=True)
    worker.start()
    while worker.is_alive():
        worker.join(_PATIENCE)
        if newest:
            step, share = newest[-1]
            newest.clear()
            show(step, share)
        process_events()
        if is_cancelled():
            stop.set()
    if "error" in outcome:
        raise outcome["error"]
    if stop.is_set():
        raise Cancelled
    return outcome["result"]
