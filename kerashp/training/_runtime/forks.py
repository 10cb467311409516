"""Refuses to compute in a forked process, where the backend's threads are missing and a use would hang."""

import os
from dataclasses import dataclass

from kerashp.training._runtime.backend import backend, supported


@dataclass
class _Process:
    """Whether the backend was running when this process was about to fork, and when it was forked itself."""

    runs: bool = False
    lacks_threads: bool = False


_PROCESS = _Process()


def _before_fork() -> None:
    _PROCESS.runs = supported() and backend().started()


def _after_fork_in_child() -> None:
    _PROCESS.lacks_threads = _PROCESS.lacks_threads or _PROCESS.runs


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)


def check_fork() -> None:
    """Refuse a process that was forked after its parent had used the backend.

    Raises
    ------
    RuntimeError
        Instead of waiting without end for threads that only the parent has.
    """
    if _PROCESS.lacks_threads:
        raise RuntimeError(
            f"kerashp cannot compute in process {os.getpid()}: it was forked after its parent had used "
            "TensorFlow or JAX, whose threads a fork does not copy, so that it would hang. Start processes "
            "by 'spawn' (multiprocessing.set_start_method('spawn'), or get_context('spawn')), or by "
            "joblib's 'loky' backend; or fork before the first use of Keras"
        )
