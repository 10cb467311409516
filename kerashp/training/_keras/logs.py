"""An epoch's loss and metrics as Keras' callbacks get them."""

from typing import Any

import numpy as np

Logs = dict[str, Any]


def flat_logs(logs: Logs) -> Logs:
    """Logs in which the items of a metric that is a dict stand by themselves.

    >>> flat_logs({"loss": 1.0, "scores": {"a": 2.0, "b": 3.0}})
    {'loss': 1.0, 'a': 2.0, 'b': 3.0}
    """
    items: Logs = {}
    for name, log in logs.items():
        items |= flat_logs(log) if isinstance(log, dict) else {name: log}
    return items


def validation_logs(logs: Logs) -> Logs:
    """The logs of a validation, under the names that they have in a history."""
    return {f"val_{name}": log for name, log in logs.items()}


def native(log: Any) -> Any:
    """A log as a Python float, if it is a single number."""
    return float(log) if np.ndim(log) == 0 else log
