"""What an epoch's loss and metrics are to Keras' callbacks."""

from typing import Any

import numpy as np

Logs = dict[str, Any]


def flat(logs: Logs) -> Logs:
    """Logs without the dicts that some metrics are, as Keras' callbacks get them.

    >>> flat({"loss": 1.0, "scores": {"a": 2.0, "b": 3.0}})
    {'loss': 1.0, 'a': 2.0, 'b': 3.0}
    """
    own: Logs = {}
    for name, log in logs.items():
        own |= flat(log) if isinstance(log, dict) else {name: log}
    return own


def of_validation(logs: Logs) -> Logs:
    """The logs by the names that they have in a history."""
    return {f"val_{name}": log for name, log in logs.items()}


def native(log: Any) -> Any:
    """A number as Python's own."""
    return float(log) if np.ndim(log) == 0 else log
