"""A space narrowed around its best candidates."""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import singledispatch
from numbers import Real
from typing import Any

import numpy as np

from kerashp.spaces._checks import number, positive_integer
from kerashp.spaces._distributions import int_loguniform, one_minus_loguniform
from kerashp.spaces._search_space import single_space

_RESULT_KEYS = ("params", "rank_test_score", "mean_test_score")


def zoom(space: Mapping[str, Any], results: Any, shrink: float = 0.5, *, n_best: int = 3) -> dict[str, Any]:
    """Narrow a search space around the best candidates.

    The distributions keep their kinds and stay within their bounds. On a parameter's natural scale (log for
    log-uniform, log(1 - beta) for `one_minus_loguniform`, the index for `randint` and lists of numbers) the
    new range is `shrink` times as wide as the old one. It is centred on the median of the best candidates,
    then shifted to stay inside the old range. The number of values is rounded: `randint` and lists keep at
    least 1 value, `int_loguniform` at least 2. A list that contains anything but numbers keeps the values of
    the best candidates, whatever `shrink` is. Lists keep their order; tuples and arrays become lists.

    Parameters
    ----------
    space : dict or keras_tuner.HyperParameters
        From the parameter's name to a `loguniform`, `uniform`, `randint`, `int_loguniform`,
        `one_minus_loguniform`, or a list, tuple, range or one-dimensional array. `HyperParameters` must have
        no conditions.
    results : dict or fitted search
        `cv_results_` of scikit-learn, or a search that has it. Candidates without a finite `mean_test_score`
        are ignored, and so are, for each parameter, candidates that lack it.
    shrink : float in (0, 1], default=0.5
        The new width divided by the old one.
    n_best : int, default=3
        The number of best candidates around which the space is narrowed, at least 1.

    Returns
    -------
    dict
        The narrower space, with the names of `space`.

    Raises
    ------
    TypeError
        If an argument or a candidate's value has the wrong type, or a distribution is not of a kind above.
    ValueError
        If `shrink` or `n_best` is out of range; if `results` lacks a key, finite scores or a parameter; if a
        list is empty or contains none of the best values; or if a range is as narrow as floats allow.

    References
    ----------
    I. Goodfellow, Y. Bengio and A. Courville, Deep Learning, 2016, section 11.4.3: a search is repeated on a
    finer range around the best values of the previous one.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> results = {"params": [{"mlp__l2": 1e-3, "mlp__init": "he"}, {"mlp__l2": 0.1, "mlp__init": "lecun"}],
    ...            "mean_test_score": [0.9, 0.6], "rank_test_score": [1, 2]}
    >>> space = {"mlp__l2": loguniform(1e-5, 1e-1), "mlp__init": ["glorot", "he", "lecun"]}
    >>> narrow = zoom(space, results, shrink=0.5, n_best=1)
    >>> [round(float(end), 6) for end in narrow["mlp__l2"].support()], narrow["mlp__init"]
    ([0.0001, 0.01], ['he'])
    """
    shrink = number("zoom", "shrink", shrink)
    if not 0 < shrink <= 1:
        raise ValueError(f"zoom: shrink must be in (0, 1], got {shrink!r}; 0.5 halves every range")
    n_best = positive_integer("zoom", "n_best", n_best)
    space = single_space("zoom", space)
    if not isinstance(space, Mapping):
        raise TypeError(
            f"zoom: space must be a dict from names to distributions or lists, got {type(space).__name__};"
            " for a list of spaces, call zoom for each"
        )
    ranked = _ranked_params(results)
    return {
        name: _narrow(dist, name, _best_values(ranked, name, n_best), shrink) for name, dist in space.items()
    }


def _ranked_params(results: Any) -> list[Mapping[str, Any]]:
    """The parameters of the candidates with a finite score, best first."""
    table = _result_table(results)
    rows = zip(table["params"], table["rank_test_score"], table["mean_test_score"], strict=True)
    finite = [(rank, params) for params, rank, score in rows if math.isfinite(score)]
    if not finite:
        raise ValueError(
            f"zoom: none of the {len(table['params'])} candidates in results has a finite mean_test_score;"
            " run the search with error_score='raise' to see why they failed"
        )
    return [params for _, params in sorted(finite, key=lambda row: row[0])]


def _result_table(results: Any) -> Any:
    table = getattr(results, "cv_results_", results)
    if not hasattr(table, "keys"):
        raise TypeError(
            f"zoom: results must be cv_results_ or a fitted search that has it, got {type(results).__name__};"
            " fit the search first"
        )
    missing = [key for key in _RESULT_KEYS if key not in table]
    if missing:
        raise ValueError(
            f"zoom: results must have {', '.join(_RESULT_KEYS)}; missing {', '.join(missing)}."
            " With several metrics, copy rank_test_<metric> and mean_test_<metric> to these names"
        )
    return table


def _best_values(ranked: list[Mapping[str, Any]], name: str, n_best: int) -> list[Any]:
    values = [params[name] for params in ranked if name in params]
    if not values:
        raise ValueError(
            f"zoom: no candidate with a finite score has the parameter {name!r}; they have"
            f" {sorted(set().union(*ranked))}. Name it as in the search, pipeline prefix included"
        )
    return values[:n_best]


@singledispatch
def _narrow(dist: Any, name: str, values: list[Any], shrink: float) -> Any:
    """Narrow one of SciPy's frozen distributions; the other kinds are registered below."""
    kind = getattr(getattr(dist, "dist", None), "name", None)
    if kind not in _SCIPY_NARROW:
        raise _cannot_narrow(name, kind or repr(dist))
    low, high = dist.support()
    if np.ndim(low) or np.ndim(high) or not low <= high:
        raise _cannot_narrow(name, f"{kind} on [{low}, {high}]")
    return _SCIPY_NARROW[kind](dist, name, values, shrink)


@_narrow.register
def _(dist: one_minus_loguniform, name: str, values: list[Any], shrink: float) -> one_minus_loguniform:
    return one_minus_loguniform(*_narrow_ends(dist, name, values, shrink))


@_narrow.register
def _(dist: int_loguniform, name: str, values: list[Any], shrink: float) -> int_loguniform:
    best = _floats(name, values)
    centres = (dist.cdf(best - 1) + dist.cdf(best)) / 2
    first, end = (round(edge) for edge in dist._continuous().ppf(_quantile_window(centres, shrink)))
    low = min(first, dist.high - 1)
    return int_loguniform(low, min(max(end - 1, low + 1), dist.high))


@_narrow.register
def _(dist: list | tuple | range | np.ndarray, name: str, values: list[Any], shrink: float) -> list[Any]:
    if isinstance(dist, np.ndarray) and dist.ndim != 1:
        raise _cannot_narrow(name, f"an array of shape {dist.shape}")
    choices = list(dist)
    if not choices:
        raise ValueError(f"zoom: the list of parameter {name!r} is empty; give it at least one value")
    if len(choices) == 1:
        return choices
    narrow = _narrow_numbers if all(map(_is_finite_number, choices)) else _narrow_categories
    return narrow(choices, name, values, shrink)


def _narrow_numbers(choices: list[Any], name: str, values: list[Any], shrink: float) -> list[Any]:
    order = sorted(range(len(choices)), key=choices.__getitem__)
    positions = np.interp(_floats(name, values), [choices[i] for i in order], range(len(choices)))
    first, end = _index_window(positions, len(choices), shrink)
    return [choices[i] for i in sorted(order[first:end])]


def _narrow_categories(choices: list[Any], name: str, values: list[Any], _shrink: float) -> list[Any]:
    best = [choice for choice in choices if any(choice is value or choice == value for value in values)]
    if not best:
        raise ValueError(
            f"zoom: parameter {name!r} is one of {choices} in space but {values} in the best candidates;"
            " pass the space that the search used"
        )
    return best


def _narrow_loguniform(dist: Any, name: str, values: list[Any], shrink: float) -> Any:
    if not math.isclose(dist.median(), math.sqrt(math.prod(map(float, dist.support()))), rel_tol=1e-6):
        raise _cannot_narrow(name, "loguniform shifted by loc")
    return dist.dist(*_narrow_ends(dist, name, values, shrink))


def _narrow_uniform(dist: Any, name: str, values: list[Any], shrink: float) -> Any:
    low, high = _narrow_ends(dist, name, values, shrink)
    width = high - low
    return dist.dist(low, width if low + width <= high else math.nextafter(width, 0.0))


def _narrow_randint(dist: Any, name: str, values: list[Any], shrink: float) -> Any:
    low, high = map(int, dist.support())
    n_values = high - low + 1
    first, end = _index_window(np.clip(_floats(name, values) - low, 0, n_values - 1), n_values, shrink)
    return dist.dist(low + first, low + end)


_SCIPY_NARROW: dict[str, Callable[..., Any]] = {
    "loguniform": _narrow_loguniform,
    "reciprocal": _narrow_loguniform,
    "uniform": _narrow_uniform,
    "randint": _narrow_randint,
}


def _narrow_ends(dist: Any, name: str, values: list[Any], shrink: float) -> tuple[float, float]:
    """The new bounds of a continuous distribution: quantiles of the old one."""
    quantiles = _quantile_window(dist.cdf(_floats(name, values)), shrink)
    low, high = map(float, np.clip(dist.ppf(quantiles), *dist.support()))
    if not low < high:
        raise ValueError(
            f"zoom: parameter {name!r} cannot be narrowed further: [{low!r}, {high!r}] is as narrow as floats"
            " allow; replace it with a list of one value"
        )
    return low, high


def _quantile_window(quantiles: Any, shrink: float) -> np.ndarray:
    """Start and end in [0, 1], `shrink` apart, centred on the median unless they would leave [0, 1]."""
    start = min(max(float(np.median(quantiles)) - shrink / 2, 0.0), 1 - shrink)
    return np.array([start, min(start + shrink, 1.0)])


def _index_window(positions: Any, n_values: int, shrink: float) -> tuple[int, int]:
    """The first of round(shrink * n_values) indices around the median position, and the end."""
    size = max(1, math.floor(shrink * n_values + 0.5))
    first = math.ceil(float(np.median(positions)) - size / 2)
    first = min(max(first, 0), n_values - size)
    return first, first + size


def _cannot_narrow(name: str, received: str) -> TypeError:
    return TypeError(
        f"zoom: cannot narrow parameter {name!r}, got {received}; supported are SciPy's loguniform, uniform"
        " and randint with scalar bounds, int_loguniform, one_minus_loguniform and one-dimensional lists"
    )


def _floats(name: str, values: Iterable[Any]) -> np.ndarray:
    invalid = [value for value in values if not _is_finite_number(value)]
    if invalid:
        raise TypeError(
            f"zoom: parameter {name!r} must be a finite number in results, as in space; got {invalid[0]!r}."
            " Pass the space that the search used"
        )
    return np.array([float(value) for value in values])


def _is_finite_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
