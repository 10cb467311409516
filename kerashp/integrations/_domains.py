"""The types and ranges of hyperparameters, from the space of a search and from its candidates."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kerashp.model_selection._logging.plain_values import PlainValue, plain_value
from kerashp.spaces._search_space import search_space

Kind = type[bool] | type[float] | type[str]


@dataclass(frozen=True)
class Domain:
    """What is known of a hyperparameter.

    Attributes
    ----------
    kind : type
        `bool`, `float` (integers too) or `str`; a hyperparameter of several types is a `str`.
    values : tuple
        All its values, where the space lists them.
    interval : tuple of (float, float), or None
        The least and the greatest value of a bounded range.
    """

    kind: Kind
    values: tuple[bool | float | str, ...] = ()
    interval: tuple[float, float] | None = None

    def of_kind(self, value: PlainValue) -> bool | float | str:
        """A value as one of this type."""
        return str(value) if self.kind is str else value


def domains(space: Any, params: Mapping[str, PlainValue]) -> dict[str, Domain]:
    """The domains of the hyperparameters of a space, and of those that a candidate has beside them.

    >>> found = domains({"lr": [0.1, 0.01], "shape": [8, (8, 4)]}, {"epochs": 3})
    >>> found["lr"].values, found["shape"].values, found["epochs"].kind
    ((0.1, 0.01), ('8', '(8, 4)'), <class 'float'>)
    """
    parts: dict[str, list[Any]] = {}
    for part in _parts(space):
        for name, values in part.items():
            parts.setdefault(name, []).append(values)
    found = {name: _domain(of_parts, params.get(name)) for name, of_parts in parts.items()}
    others = {name: Domain(_kind([value])) for name, value in params.items() if name not in found}
    return found | others


def _parts(space: Any) -> list[Mapping[str, Any]]:
    converted = None if space is None else search_space(space)
    if isinstance(converted, Mapping):
        return [converted]
    return [part for part in converted or [] if isinstance(part, Mapping)]


def _domain(of_parts: list[Any], value: PlainValue | None) -> Domain:
    """The domain of a hyperparameter that has these values, or a distribution, in each part of a space."""
    if all(hasattr(values, "__iter__") for values in of_parts):
        return _listed([item for values in of_parts for item in values])
    interval = _interval(of_parts[0]) if len(of_parts) == 1 else None
    if interval is not None:
        return Domain(float, interval=interval)
    return Domain(str if value is None else _kind([value]))


def _listed(items: Iterable[Any]) -> Domain:
    values = list({(type(value), value): value for value in map(plain_value, items)}.values())
    kind = _kind(values)
    return Domain(kind, tuple(map(str, values)) if kind is str else tuple(values))


def _kind(values: Iterable[PlainValue]) -> Kind:
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return bool
    return float if kinds and kinds <= {int, float} else str


def _interval(distribution: Any) -> tuple[float, float] | None:
    """The support of a distribution, where it is bounded."""
    if not hasattr(distribution, "support"):
        return None
    low, high = map(float, distribution.support())
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None
