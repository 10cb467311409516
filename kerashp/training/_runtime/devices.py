"""The accelerators of a process, and which of them a population trains on."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from threading import Lock
from typing import Any

from kerashp._memory import machine_memory
from kerashp.training._runtime.backend import backend

_PINNED: ContextVar[Any] = ContextVar("_PINNED", default=None)


@contextmanager
def placement(device: Any) -> Iterator[None]:
    """Inside, in this thread, training runs on this device; None: where the backend puts it.

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


def on_host() -> AbstractContextManager[None]:
    """Inside, in this thread, networks are made on the CPU: an accelerator takes longer, one by one."""
    return nullcontext() if backend().device_kind() == "cpu" else backend().on(backend().host())


def pinned_device() -> Any:
    """The device that `placement` has set for this thread; None outside of it."""
    return _PINNED.get()


def n_devices() -> int:
    """How many devices train at a time: the accelerators, or the machine itself."""
    return max(1, len(backend().devices()))


def device_memory() -> int:
    """Bytes of a device that trains: an accelerator's where they are known, otherwise the machine's."""
    known: int | None = backend().device_memory()
    return known or machine_memory()


class Devices:
    """Gives each training the accelerator with the fewest trainings, where there are several."""

    def __init__(self) -> None:
        devices = backend().devices()
        self._n_trainings = dict.fromkeys(devices if len(devices) > 1 else [None], 0)
        self._lock = Lock()

    @contextmanager
    def least_busy(self) -> Iterator[Any]:
        """Inside, in this thread, training runs on the device with the fewest trainings."""
        with self._lock:
            device = min(self._n_trainings, key=lambda device: self._n_trainings[device])
            self._n_trainings[device] += 1
        try:
            with placement(device):
                yield device
        finally:
            with self._lock:
                self._n_trainings[device] -= 1
