"""The module of this package for Keras' backend."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import keras


def _module_name() -> str:
    return f"{__package__}.{keras.backend.backend()}"


@cache
def supported() -> bool:
    """Whether the engine runs on the backend that Keras was started with."""
    return find_spec(_module_name()) is not None


@cache
def backend() -> Any:
    """The module with the operations that the engine needs of this backend."""
    return import_module(_module_name())
