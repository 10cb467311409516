"""On which of a process's accelerators populations train."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

from kerashp.training._runtime.backend import backend

_PINNED: ContextVar[Any] = ContextVar("_PINNED", default=None)


@contextmanager
def on(device: Any) -> Iterator[None]:
    """Inside, in this thread, what is trained is on this device; None: where the backend puts it.

    A `Population` stays where it was made, whichever thread trains it.
    """
    if device is None:
        yield
        return
    token = _PINNED.set(device)
    try:
        with backend().on(device):
            yield
    finally:
        _PINNED.reset(token)


def pinned() -> Any:
    """The device that this thread is on; None where nobody has said."""
    return _PINNED.get()


def n_devices() -> int:
    """How many devices train at a time: the accelerators, or the machine itself."""
    return max(1, len(backend().devices()))


class Devices:
    """Hands out the accelerators, where there are several, so that all have as much to do."""

    def __init__(self) -> None:
        devices = backend().devices()
        self._at_work = dict.fromkeys(devices if len(devices) > 1 else [None], 0)
        self._lock = Lock()

    @contextmanager
    def one(self) -> Iterator[Any]:
        """Inside, in this thread, what is trained is on the device with the least to do."""
        with self._lock:
            device = min(self._at_work, key=lambda device: self._at_work[device])
            self._at_work[device] += 1
        try:
            with on(device):
                yield device
        finally:
            with self._lock:
                self._at_work[device] -= 1
