"""The candidates of a fitted search as a table that displays draw."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from kerashp._arguments import Arguments, shown, spelled
from kerashp._compat.sklearn import BaseSearchCV
from kerashp.spaces._search_space import search_space

_MEAN = "mean_test_"
SPACES = ("param_distributions", "param_grid", "space")


@dataclass(frozen=True)
class Candidates:
    """What a search tried, in its order.

    Attributes
    ----------
    params : tuple of dict
    scores : ndarray of shape (n_candidates,)
        Mean test scores, the greater the better; NaN where a candidate failed.
    deviations : ndarray of shape (n_candidates,)
        Of the scores of the splits.
    seconds : ndarray of shape (n_candidates,)
        Of fitting and scoring, all splits; 0 where nobody measured them.
    metric : str
        Its name in `cv_results_`.
    score_name : str
        What the score is called.
    best : int or None
        The position of the best; None if all failed. It is the search's own choice where that was by this
        score: a halving search looks at its last iteration only.
    stages : tuple of str or None
        The round or iteration of each, in a search that has several.
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
        """Which candidates have no score."""
        return ~np.isfinite(self.scores)


def best_of(scores: np.ndarray) -> int | None:
    """The position of the greatest score; None if there is none that is finite."""
    finite = np.where(np.isfinite(scores), scores, -np.inf)
    return int(np.argmax(finite)) if np.isfinite(finite).any() else None


def without_infinite(scores: Any) -> np.ndarray:
    """Scores as an array, NaN where one is not finite."""
    numbers = np.asarray(scores, float)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def worst_shown(scores: np.ndarray) -> float:
    """Where an axis of scores begins: what is much worse than most would hide how they differ.

    The least score, but not below the median by more than five times what the best is above it.

    >>> worst_shown(np.array([0.5, 0.9, 0.7, -1e6])) > -1
    True
    """
    finite = scores[np.isfinite(scores)]
    if finite.size == 0:
        return 0.0
    least, middle, most = (float(value) for value in np.quantile(finite, [0, 0.5, 1]))
    return least if most == middle else max(least, middle - 5 * (most - middle))


def results_of(caller: str, search: Any) -> Mapping[str, Any]:
    """A fitted search's `cv_results_`.

    Raises
    ------
    TypeError
        If it is no search.
    sklearn.exceptions.NotFittedError
    """
    results = getattr(search, "cv_results_", None)
    if isinstance(results, Mapping):
        return results
    if isinstance(search, BaseSearchCV):
        raise NotFittedError(f"{caller}: this {type(search).__name__} has no cv_results_ yet; call fit first")
    raise Arguments(caller).wrong_type("search", "a fitted search of kerashp or scikit-learn", search)


def candidates_of(caller: str, search: Any, metric: str | None = None) -> Candidates:
    """The candidates of a fitted search by one of its scores, by default the one that decides."""
    results = results_of(caller, search)
    name = _metric(caller, results, metric, getattr(search, "refit", None))
    if "params" not in results:
        raise ValueError(f"{caller}: cv_results_ must have 'params'; got {spelled(results)}")
    scores = without_infinite(results[f"{_MEAN}{name}"])
    none = np.zeros(len(scores))
    n_splits = sum(bool(re.fullmatch(rf"split\d+_test_{re.escape(name)}", column)) for column in results)
    times = [np.asarray(results.get(f"mean_{what}_time", none), float) for what in ("fit", "score")]
    return Candidates(
        params=tuple(results["params"]),
        scores=scores,
        deviations=np.asarray(results.get(f"std_test_{name}", none * np.nan), float),
        seconds=np.nan_to_num(sum(times, none)) * max(n_splits, 1),
        metric=name,
        score_name=_score_name(search, name),
        best=_best(search, name, scores),
        stages=_stages(results, getattr(search, "resource", "resources")),
    )


def _metric(caller: str, results: Mapping[str, Any], metric: str | None, refit: Any) -> str:
    known = [name.removeprefix(_MEAN) for name in results if name.startswith(_MEAN)]
    if metric is not None:
        return Arguments(caller).choice("metric", metric, known)
    if len(known) == 1:
        return known[0]
    if isinstance(refit, str) and refit in known:
        return refit
    raise ValueError(
        f"{caller}: the search has several scores; pass metric, one of {spelled(known) or 'none'}"
    )


def _best(search: Any, metric: str, scores: np.ndarray) -> int | None:
    refit = getattr(search, "refit", None)
    decided = metric == (refit if isinstance(refit, str) else "score")
    own = getattr(search, "best_index_", None) if decided else None
    return best_of(scores) if own is None or not np.isfinite(scores[own]) else int(own)


def _score_name(search: Any, metric: str) -> str:
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
    """What a search drew each parameter from, once for each of its spaces."""
    given: Any = next((getattr(search, name) for name in SPACES if hasattr(search, name)), {})
    try:
        given = search_space(given)
    except ValueError:  # an oracle knows laws of keras-tuner's for which there is no distribution
        return {}
    found: dict[str, list[Any]] = {}
    for space in [given] if isinstance(given, Mapping) else given if isinstance(given, Sequence) else []:
        for name, values in space.items():
            found.setdefault(name, []).append(values)
    return found


def parameters_of(caller: str, candidates: Candidates, parameters: Sequence[str] | None) -> list[str]:
    """The parameters asked for, or those that differ between candidates; all where none does."""
    known = list(dict.fromkeys(name for params in candidates.params for name in params))
    if parameters is None:
        return [name for name in known if _differs(candidates, name)] or known
    asked = [parameters] if isinstance(parameters, str) else list(parameters)
    unknown = [name for name in asked if name not in known]
    if unknown or not asked:
        raise ValueError(
            f"{caller}: parameters must be among those of the search, {spelled(known)}; got "
            f"{shown(parameters)}"
        )
    return asked


def parameters_to_draw(caller: str, candidates: Candidates, parameters: Sequence[str] | None) -> list[str]:
    """The same, where there are any."""
    names = parameters_of(caller, candidates, parameters)
    if not names:
        raise ValueError(f"{caller}: the search has no parameters to draw; its candidates are all {{}}")
    return names


def short_names(names: Sequence[str]) -> dict[str, str]:
    """What parameters are called where it is clear whose they are: without the steps of a pipeline.

    >>> short_names(["mlp__l2", "scale__with_mean", "mlp__dropout"])["mlp__l2"]
    'l2'
    """
    short = {name: name.rpartition("__")[2] for name in names}
    return short if len(set(short.values())) == len(short) else {name: name for name in names}


def _differs(candidates: Candidates, name: str) -> bool:
    return len({repr(params[name]) if name in params else None for params in candidates.params}) > 1
