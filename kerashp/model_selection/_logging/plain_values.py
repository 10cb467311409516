"""Parameters in the types that every tracker knows. Data are never written."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

PlainValue = bool | int | float | str

_MOST_LETTERS = 250  # several trackers refuse longer parameters
_MOST_ITEMS = 20  # a longer list is data


def plain_value(value: Any) -> PlainValue:
    """A number, string or bool as Python's type, anything else in a few words.

    >>> plain_value(np.float32(0.5)), plain_value((8, np.int64(4))), plain_value(None)
    (0.5, '(8, 4)', 'None')
    >>> plain_value(np.ones(9)), plain_value(len), plain_value({"a": object()}), plain_value([0.5] * 99)
    ('array of shape (9,)', 'len', "{'a': object}", 'list of 99 items')
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    text = str(value) if isinstance(value, str) else _description(value)
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}..."


def _description(value: Any) -> str:
    if value is None or isinstance(value, str):
        return repr(value)
    if isinstance(value, bool | np.bool_ | Integral | Real):
        return repr(plain_value(value))
    if type(value) in (list, tuple, dict):
        return _described_items(value)
    if hasattr(value, "shape"):
        return f"array of shape {tuple(value.shape)}"
    return str(getattr(value, "__name__", type(value).__name__))


def _described_items(values: Any) -> str:
    if len(values) > _MOST_ITEMS:
        return f"{type(values).__name__} of {len(values)} items"
    if isinstance(values, Mapping):
        return f"{{{', '.join(f'{_description(key)}: {_description(values[key])}' for key in values)}}}"
    text = ", ".join(map(_description, values))
    if isinstance(values, list):
        return f"[{text}]"
    return f"({text},)" if len(values) == 1 else f"({text})"
