"""When a run must stop before its end: its time is up, or somebody pressed Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time


class Stop:
    """A context in which the first Ctrl-C lets the current step finish; the second one breaks it off."""

    def __init__(self, minutes: float):
        self._end = time.monotonic() + 60 * minutes
        self._asked = False

    def __enter__(self) -> Stop:
        self._handles = threading.current_thread() is threading.main_thread()
        if self._handles:
            self._before = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(self, *_) -> None:
        if self._handles:
            signal.signal(signal.SIGINT, self._before)

    def _interrupted(self, *_) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def wanted(self) -> bool:
        return self._asked or time.monotonic() >= self._end
