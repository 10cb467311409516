"""Warnings: one for each cause, however many fits have it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from keras.src.utils.naming import to_snake_case

from kerashp._compat.keras import flatten_layers

_OF_GRAPHS = re.compile(r"(?<=[a-z])_\d{3,}(?=_)")

_SAID: ContextVar[set[str] | None] = ContextVar("_SAID", default=None)


@contextmanager
def one_warning_a_cause() -> Iterator[None]:
    """Inside, in this thread, a cause is new once; Python's own filters forget what they have shown."""
    if _SAID.get() is not None:
        yield
        return
    token = _SAID.set(set())
    try:
        yield
    finally:
        _SAID.reset(token)


def is_new(cause: str) -> bool:
    """Whether to warn of it: not of what was said before inside `one_warning_a_cause`."""
    said = _SAID.get()
    if said is None:
        return True
    known = cause in said
    said.add(cause)
    return not known


def without_counters(text: str, model: Any) -> str:
    """The text without the numbers by which Keras tells layers of one type, and TensorFlow graphs, apart.

    >>> import keras
    >>> layer = keras.layers.Dense(1, name="dense_12")
    >>> without_counters("see dense_12 and dense_120", keras.Sequential([layer]))
    'see dense and dense_120'
    """
    text = _OF_GRAPHS.sub("", text)
    for layer in flatten_layers(model):
        kind = to_snake_case(type(layer).__name__)
        if re.fullmatch(rf"{kind}_\d+", layer.name):
            text = re.sub(rf"\b{layer.name}\b", kind, text)
    return text
