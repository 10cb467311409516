"""Attributes and items that have other values for a while."""

import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

_ABSENT = object()

# Held while values are replaced, and by code that reads them while another thread may train.
VALUES_LOCK = threading.RLock()

Change = tuple[MutableMapping[str, Any], str, Any]


def with_functions(place: tuple[MutableMapping[str, Any], str], **functions: Any) -> Change:
    """The change by which the module that a place names has these functions instead of its own."""
    mapping, key = place
    return mapping, key, SimpleNamespace(**{**vars(mapping[key]), **functions})


@contextmanager
def temporary_values(*changes: Change) -> Iterator[None]:
    """Inside, each `mapping[key]` has the value of its change; afterwards its former one.

    For attributes the mapping is `vars(owner)`, which goes round Keras' and TensorFlow's tracking.

    >>> settings = {"rate": 0.5}
    >>> with temporary_values((settings, "rate", 1.0), (settings, "seed", 3)):
    ...     print(settings)
    {'rate': 1.0, 'seed': 3}
    >>> settings
    {'rate': 0.5}
    """
    with VALUES_LOCK:
        former = [(mapping, key, mapping.get(key, _ABSENT)) for mapping, key, _ in changes]
        try:
            for mapping, key, value in changes:
                mapping[key] = value
            yield
        finally:
            for mapping, key, value in reversed(former):
                if value is _ABSENT:
                    mapping.pop(key, None)  # Ctrl-C may come before it is set
                else:
                    mapping[key] = value
