"""The candidates of a fitted search as a table for the displays."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from kerashp._arguments import Arguments, quoted, short_repr
from kerashp._compat.sklearn import BaseSearchCV
from kerashp.spaces._search_space import search_space

_MEAN = "mean_test_"
SPACES = ("param_distributions", "param_grid", "space")


@dataclass(frozen=True)
class Candidates:
    """The candidates of a search, in its order.

    Attributes
    ----------
    params : tuple of dict
        The parameters of each candidate.
    scores : ndarray of shape (n_candidates,)
        Mean test scores, greater is better; NaN for a candidate that failed.
    deviations : ndarray of shape (n_candidates,)
        Standard deviations of the scores over the splits.
    seconds : ndarray of shape (n_candidates,)
        Seconds of fitting and scoring over all splits; 0 if they were not measured.
    metric : str
        The name of the score in `cv_results_`.
    score_name : str
        The name of the score for display.
    best : int or None
        The index of the best candidate; None if all failed. If the search chose its best candidate by this
        score, it is that candidate: a halving search considers only its last iteration.
    stages : tuple of str or None
        The round or iteration of each candidate, for a search with several.
    """

    params: tuple[Mapping[str, Any], ...]
    scores: np.ndarray
    deviations: np.ndarray
    seconds: np.ndarray
    metric: str
    score_name: str
    best: int | None
    stages: tuple[str, ...] | None = None

    @property
    def failed(self) -> np.ndarray:
        """A mask of the candidates without a finite score."""
        return ~np.isfinite(self.scores)


def best_of(scores: np.ndarray) -> int | None:
    """The index of the greatest score; None if no score is finite."""
    finite = np.where(np.isfinite(scores), scores, -np.inf)
    return int(np.argmax(finite)) if np.isfinite(finite).any() else None


def without_infinite(scores: Any) -> np.ndarray:
    """The scores as an array, with NaN in place of infinite values."""
    numbers = np.asarray(scores, float)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def worst_shown(scores: np.ndarray) -> float:
    """The lower limit of an axis of scores, so that outliers do not hide the differences between the others.

    It is the lowest score, but at most five times as far below the median as the best score is above it.

    >>> worst_shown(np.array([0.5, 0.9, 0.7, -1e6])) > -1
    True
    """
    finite = scores[np.isfinite(scores)]
    if finite.size == 0:
        return 0.0
    least, middle, most = (float(value) for value in np.quantile(finite, [0, 0.5, 1]))
    return least if most == middle else max(least, middle - 5 * (most - middle))


def cv_results_of(caller: str, search: Any) -> Mapping[str, Any]:
    """The `cv_results_` of a fitted search.

    Raises
    ------
    TypeError
        If `search` is not a search.
    sklearn.exceptions.NotFittedError
        If the search is not fitted.
    """
    results = getattr(search, "cv_results_", None)
    if isinstance(results, Mapping):
        return results
    if isinstance(search, BaseSearchCV):
        raise NotFittedError(f"{caller}: this {type(search).__name__} has no cv_results_ yet; call fit first")
    raise Arguments(caller).wrong_type("search", "a fitted search of kerashp or scikit-learn", search)


def candidates_of(caller: str, search: Any, metric: str | None = None) -> Candidates:
    """The candidates of a fitted search with one of its scores, by default the one that selects the best."""
    results = cv_results_of(caller, search)
    name = _metric(caller, results, metric, getattr(search, "refit", None))
    if "params" not in results:
        raise ValueError(f"{caller}: cv_results_ must have 'params'; got {quoted(results)}")
    scores = without_infinite(results[f"{_MEAN}{name}"])
    zeros = np.zeros(len(scores))
    n_splits = sum(bool(re.fullmatch(rf"split\d+_test_{re.escape(name)}", column)) for column in results)
    times = [np.asarray(results.get(f"mean_{what}_time", zeros), float) for what in ("fit", "score")]
    return Candidates(
        params=tuple(results["params"]),
        scores=scores,
        deviations=np.asarray(results.get(f"std_test_{name}", zeros * np.nan), float),
        seconds=np.nan_to_num(sum(times, zeros)) * max(n_splits, 1),
        metric=name,
        score_name=_display_name(search, name),
        best=_best_index(search, name, scores),
        stages=_stages(results, getattr(search, "resource", "resources")),
    )


def _metric(caller: str, results: Mapping[str, Any], metric: str | None, refit: Any) -> str:
    names = [name.removeprefix(_MEAN) for name in results if name.startswith(_MEAN)]
    if metric is not None:
        return Arguments(caller).choice("metric", metric, names)
    if len(names) == 1:
        return names[0]
    if isinstance(refit, str) and refit in names:
        return refit
    raise ValueError(
        f"{caller}: the search has several scores; pass as metric one of {quoted(names) or 'none'}"
    )


def _best_index(search: Any, metric: str, scores: np.ndarray) -> int | None:
    refit = getattr(search, "refit", None)
    is_decisive = metric == (refit if isinstance(refit, str) else "score")
    index = getattr(search, "best_index_", None) if is_decisive else None
    return best_of(scores) if index is None or not np.isfinite(scores[index]) else int(index)


def _display_name(search: Any, metric: str) -> str:
    scoring = getattr(search, "scoring", None)
    return scoring if metric == "score" and isinstance(scoring, str) else metric


def _stages(results: Mapping[str, Any], resource: str) -> tuple[str, ...] | None:
    if "iter" in results:
        resources = results.get("n_resources")
        names = [f"iteration {number}" for number in results["iter"]]
        if resources is None:
            return tuple(names)
        return tuple(f"{name}, {n} {resource}" for name, n in zip(names, resources, strict=True))
    return tuple(f"round {number}" for number in results["round"]) if "round" in results else None


def spaces_of(search: Any) -> dict[str, list[Any]]:
    """The distributions or lists of each parameter of a search, one for each of its spaces."""
    argument: Any = next((getattr(search, name) for name in SPACES if hasattr(search, name)), {})
    try:
        spaces = search_space(argument)
    except ValueError:  # keras-tuner has hyperparameters for which there is no distribution
        return {}
    by_name: dict[str, list[Any]] = {}
    for space in [spaces] if isinstance(spaces, Mapping) else spaces if isinstance(spaces, Sequence) else []:
        for name, values in space.items():
            by_name.setdefault(name, []).append(values)
    return by_name


def parameters_of(caller: str, candidates: Candidates, parameters: Sequence[str] | None) -> list[str]:
    """The names in `parameters`; if None, those that differ between candidates, or all if none does."""
    searched = list(dict.fromkeys(name for params in candidates.params for name in params))
    if parameters is None:
        return [name for name in searched if _differs(candidates, name)] or searched
    names = [parameters] if isinstance(parameters, str) else list(parameters)
    if not names or not all(name in searched for name in names):
        raise ValueError(
            f"{caller}: parameters must be among those of the search, {quoted(searched)}; got "
            f"{short_repr(parameters)}"
        )
    return names


def parameters_to_draw(caller: str, candidates: Candidates, parameters: Sequence[str] | None) -> list[str]:
    """The result of `parameters_of`; an error if the search has no parameters."""
    names = parameters_of(caller, candidates, parameters)
    if not names:
        raise ValueError(f"{caller}: the search has no parameters to draw; all its candidates are {{}}")
    return names


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names of parameters without the steps of a pipeline, if these names are unique.

    >>> short_names(["mlp__l2", "scale__with_mean", "mlp__dropout"])["mlp__l2"]
    'l2'
    """
    short = {name: name.rpartition("__")[2] for name in names}
    return short if len(set(short.values())) == len(short) else {name: name for name in names}


def _differs(candidates: Candidates, name: str) -> bool:
    return len({repr(params[name]) if name in params else None for params in candidates.params}) > 1
