"""Loads Keras and its backend, if they are not loaded, without what TensorFlow tells about the processor.

It is written before TensorFlow reads `TF_CPP_MIN_LOG_LEVEL`. With "0" there, which asks for all, it is left.
Where that is not set, TensorFlow logs errors only; without a GPU, not even that there is none.
"""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_GPUS = ("/dev/nvidiactl", "/dev/kfd")  # asking TensorFlow would start it
_NOISE = (
    b"All log messages before absl::InitializeLog()",
    b"oneDNN custom operations are on",
    b"Could not find cuda drivers",
    b"This TensorFlow binary is optimized to use",
    b"To enable the following instructions",
)


def has_gpu() -> bool:
    """Whether this machine has the driver of a GPU."""
    return any(map(os.path.exists, _GPUS))


@dataclass
class _Stderr:
    """The file that stands for stderr while lines are left out, and stderr itself."""

    lock: Any = field(default_factory=threading.Lock)
    n_inside: int = 0
    file: Any = None
    descriptor: int = -1


_STDERR = _Stderr()


@contextmanager
def without_lines_on_stderr(*texts: bytes) -> Iterator[None]:
    """Inside, lines with one of these texts on the process's stderr are left out; the others come at the end.

    TensorFlow's compiled code logs there. Several threads may be inside, with the same texts.
    """
    with _STDERR.lock:
        if _STDERR.n_inside == 0:
            _divert()
        _STDERR.n_inside += 1
    try:
        yield
    finally:
        with _STDERR.lock:
            _STDERR.n_inside -= 1
            if _STDERR.n_inside == 0:
                _restore(texts)


def _divert() -> None:
    with suppress(OSError):  # such as no stderr
        descriptor = os.dup(2)
        with suppress(OSError):  # such as a full disk
            _STDERR.file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by _restore
            os.dup2(_STDERR.file.fileno(), 2)
            _STDERR.descriptor = descriptor
            return
        os.close(descriptor)


def _restore(texts: tuple[bytes, ...]) -> None:
    if _STDERR.descriptor < 0:
        return
    os.dup2(_STDERR.descriptor, 2)
    os.close(_STDERR.descriptor)
    _STDERR.descriptor = -1
    with _STDERR.file, suppress(OSError):
        _STDERR.file.seek(0)
        for line in _STDERR.file:
            if not any(text in line for text in texts):
                os.write(2, line)


_is_loaded = not {"keras", "tensorflow"}.isdisjoint(sys.modules)
_shows_all = os.environ.setdefault(_LEVEL, "2" if has_gpu() else "3") == "0"

with nullcontext() if _is_loaded or _shows_all else without_lines_on_stderr(*_NOISE):
    import keras  # noqa: F401
