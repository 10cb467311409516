"""What conversions of a search space to another library share: which spaces they take, and the checks."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerashp.spaces._hyperparameter_names import RESERVED

Space = Mapping[str, Any]

SCALES = {"loguniform": "log", "reciprocal": "log", "uniform": "linear", "randint": "integers"}
_SUPPORTED = (
    "SciPy's loguniform, uniform and randint, int_loguniform, one_minus_loguniform and one-dimensional lists"
)


@dataclass(frozen=True)
class Range:
    """The range of one of SciPy's distributions.

    Attributes
    ----------
    scale : {"log", "linear", "integers"}
    low, high : float
        Both ends belong to the range.
    """

    scale: str
    low: float
    high: float


@dataclass(frozen=True)
class Conversion:
    """The checks of a function that converts a space.

    Attributes
    ----------
    caller : str
        The function, for errors.
    also : str
        The further kinds of distributions that it supports, for errors.
    """

    caller: str
    also: str = ""

    def spaces(self, space: Any) -> list[Space]:
        """The dicts of a list of spaces.

        Raises
        ------
        TypeError
            If it is not a list of dicts.
        """
        spaces = list(space) if isinstance(space, list | tuple) else []
        if not spaces or not all(isinstance(subspace, Mapping) for subspace in spaces):
            raise TypeError(
                f"{self.caller}: space must be a dict from names to distributions or lists, or a list of such"
                f" dicts; got {space!r}"
            )
        return spaces

    def check_name(self, name: Any) -> None:
        """Refuse a parameter's name that is not a str, or begins with a reserved prefix."""
        if not isinstance(name, str):
            raise TypeError(f"{self.caller}: a parameter's name must be a str, got {name!r}")
        if name.startswith(RESERVED):
            raise ValueError(
                f"{self.caller}: rename parameter {name!r}; the prefixes {RESERVED} are reserved"
            )

    def range_of(self, dist: Any, name: str) -> Range:
        """The range of one of SciPy's frozen distributions.

        Raises
        ------
        TypeError
            If it is of another kind.
        ValueError
            If it is shifted or has no range.
        """
        kind = getattr(getattr(dist, "dist", None), "name", None)
        if kind not in SCALES:
            raise self.unsupported(name, repr(dist) if kind is None else f"SciPy's {kind}")
        low, high = dist.support()
        if np.ndim(low) or np.ndim(high) or not low <= high or (kind != "randint" and low == high):
            raise ValueError(
                f"{self.caller}: parameter {name!r} must have a range of numbers low < high, got"
                f" {kind} on [{low}, {high}]; pass a list of one value for a constant"
            )
        if SCALES[kind] == "integers":
            return Range("integers", int(low), int(high))
        low, high = float(low), float(high)
        if SCALES[kind] == "log":
            self._check_not_shifted(dist, name, math.sqrt(low) * math.sqrt(high))
        return Range(SCALES[kind], low, high)

    def _check_not_shifted(self, dist: Any, name: str, median: float) -> None:
        if not math.isclose(dist.median(), median, rel_tol=1e-6):
            raise ValueError(
                f"{self.caller}: parameter {name!r} is a loguniform shifted by loc, which has no counterpart;"
                " pass loguniform(low, high)"
            )

    def choices(self, values: Iterable[Any], name: str) -> list[Any]:
        """The values of a list, with Python's numbers for NumPy's.

        Raises
        ------
        TypeError
            If it is an array of several dimensions.
        ValueError
            If it is empty.
        """
        if isinstance(values, np.ndarray) and values.ndim != 1:
            raise self.unsupported(name, f"an array of shape {values.shape}")
        choices = [value.item() if isinstance(value, np.generic) else value for value in values]
        if not choices:
            raise ValueError(f"{self.caller}: the list of parameter {name!r} is empty; give it a value")
        return choices

    def unsupported(self, name: str, received: str) -> TypeError:
        return TypeError(
            f"{self.caller}: cannot translate parameter {name!r}, got {received}; supported are {_SUPPORTED}"
            f"{self.also}"
        )
