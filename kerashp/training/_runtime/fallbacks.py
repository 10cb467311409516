"""One warning for each cause of a fallback, however many fits have it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from kerashp._compat.keras import flatten_layers, to_snake_case

_OF_GRAPHS = re.compile(r"(?<=[a-z])_\d{3,}(?=_)")

_SHOWN: ContextVar[set[str] | None] = ContextVar("_SHOWN", default=None)


@contextmanager
def one_warning_a_cause() -> Iterator[None]:
    """Inside, in this thread, a cause is new once; Python's own warning filters do not keep that up."""
    if _SHOWN.get() is not None:
        yield
        return
    token = _SHOWN.set(set())
    try:
        yield
    finally:
        _SHOWN.reset(token)


def is_new(cause: str) -> bool:
    """Whether to warn of a cause: not if it was shown before inside the same `one_warning_a_cause`."""
    shown_causes = _SHOWN.get()
    if shown_causes is None:
        return True
    was_shown = cause in shown_causes
    shown_causes.add(cause)
    return not was_shown


def without_counters(text: str, model: Any) -> str:
    """The text without the counters in Keras' names of layers and TensorFlow's names of graphs.

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
