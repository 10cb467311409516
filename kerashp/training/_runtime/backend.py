"""Which file speaks for Keras' backend."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import keras


def _name() -> str:
    return f"{__package__}.{keras.backend.backend()}"


@cache
def supported() -> bool:
    """Whether the engine runs on the backend that Keras was started with."""
    return find_spec(_name()) is not None


@cache
def backend() -> Any:
    """The module that does for this backend what the engine asks of one."""
    return import_module(_name())
