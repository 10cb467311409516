"""Values put elsewhere for a while."""

import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

_ABSENT = object()

PLACES = threading.RLock()  # held while values are elsewhere; by whoever reads them while others may train

Change = tuple[MutableMapping[str, Any], str, Any]


@contextmanager
def replaced(*changes: Change) -> Iterator[None]:
    """Inside, each `mapping[key]` is the value given; afterwards what it was.

    For attributes the mapping is `vars(owner)`, which goes round Keras' and TensorFlow's tracking.

    >>> settings = {"rate": 0.5}
    >>> with replaced((settings, "rate", 1.0), (settings, "seed", 3)):
    ...     print(settings)
    {'rate': 1.0, 'seed': 3}
    >>> settings
    {'rate': 0.5}
    """
    with PLACES:
        before = [(mapping, key, mapping.get(key, _ABSENT)) for mapping, key, _ in changes]
        try:
            for mapping, key, value in changes:
                mapping[key] = value
            yield
        finally:
            for mapping, key, value in reversed(before):
                if value is _ABSENT:
                    del mapping[key]
                else:
                    mapping[key] = value
