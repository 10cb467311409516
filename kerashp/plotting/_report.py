"""What a search found and how it went, on one page."""

import math
import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from importlib import import_module
from importlib.metadata import version
from numbers import Real
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.base import clone

from kerashp._arguments import Arguments
from kerashp._files import written_beside
from kerashp._version import __version__
from kerashp.diagnostics import diagnose
from kerashp.diagnostics._foundations.result import Table
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost
from kerashp.estimators._training.callbacks import copied
from kerashp.estimators._training.convergence import epochs_of
from kerashp.plotting._candidates import (
    SPACES,
    Candidates,
    candidates_of,
    parameters_of,
    short_names,
    spaces_of,
)
from kerashp.plotting._curves import best_index, curves_of_search
from kerashp.plotting._learning_curves import LearningCurvesDisplay
from kerashp.plotting._matplotlib import as_svg, figure_with, grid_in, grid_size, require
from kerashp.plotting._page import Code, Part, Picture, Section, page
from kerashp.plotting._parallel_coordinates import ParallelCoordinatesDisplay
from kerashp.plotting._scales import written
from kerashp.plotting._schedules import ScheduleDisplay
from kerashp.plotting._search_history import SearchHistoryDisplay
from kerashp.plotting._slices import SliceDisplay
from kerashp.training import LearningRateCallback

_CALLER = "report"
_CHECK = Arguments(_CALLER)
_MOST_ROWS = 50  # of a table but the leaderboard
_MOST_PARAMETERS = 24  # that are drawn
_NO_SETTINGS = {  # shown by themselves, or without effect on what is found
    *("estimator", *SPACES),
    *("verbose", "n_jobs", "pre_dispatch", "journal", "journal_every", "max_memory"),
}
_LIBRARIES = ("keras", "scikit-learn", "scipy", "numpy", "matplotlib")


def write_report(
    search: Any, path: Any, *, title: str | None = None, metric: str | None = None, n_top: int = 20
) -> Path:
    """Write the page; see `TogetherMixin.report`."""
    require(_CALLER)
    place = _place(path)
    if title is not None and not isinstance(title, str):
        raise _CHECK.wrong_type("title", "a str or None", title)
    text = report_html(search, title=title, metric=metric, n_top=n_top)
    with written_beside(place, lambda beside: _write(beside, text.encode("utf-8"))):
        pass
    return place


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _place(path: Any) -> Path:
    expected = "the path of a file in a folder that exists"
    if not isinstance(path, str | os.PathLike):
        raise _CHECK.wrong_type("path", expected, path)
    place = Path(path)
    if place.is_dir():
        raise ValueError(f"{_CALLER}: path must be {expected}; {str(place)!r} is a folder. Add a file's name")
    if not place.parent.is_dir():
        raise ValueError(
            f"{_CALLER}: path must be {expected}; got {str(place)!r}, but there is no folder "
            f"{str(place.parent)!r}. Make it first"
        )
    return place


def report_html(search: Any, *, title: str | None, metric: str | None, n_top: int) -> str:
    """The page as text."""
    n_rows = _CHECK.integer("n_top", n_top, at_least=1)
    found = candidates_of(_CALLER, search, metric)
    best = best_index(_CALLER, search, metric)
    name = f"{type(search).__name__} of {type(search.estimator).__name__}"
    sections = [
        Section("The best candidate", _best(found, best)),
        Section("Leaderboard", _leaderboard(search, found, n_rows)),
        Section("How the search went", _pictures(search, found)),
        Section("Learning curves", _curves(search, metric) + _rates(search, found, best)),
        Section("Diagnosis of the best candidate", _diagnosis(search, best)),
        Section("What trained together", _plan(search)),
        Section("Where the time went", _times(search, found)),
        Section("What was searched", _searched(search)),
        Section("Versions", [_versions()]),
    ]
    return page(name if title is None else title, [_summary(search, found, best)], sections)


def _summary(search: Any, found: Candidates, best: int) -> str:
    n_failed = int(found.failed.sum())
    splits = f" on {search.n_splits_} splits each" if hasattr(search, "n_splits_") else ""
    counted = f"{len(found.scores)} candidates{splits}; {n_failed or 'none'} failed."
    if best < 0:
        return counted
    return f"{counted} The best {found.score_name}: {found.scores[best]:.4g} (candidate {best})."


def _best(found: Candidates, best: int) -> list[Part]:
    if best < 0:
        return ["All candidates failed."]
    deviation = f"a deviation of {found.deviations[best]:.2g} between splits"
    score = f"{found.score_name}: {found.scores[best]:.4g}, with {deviation}."
    rows = [(name, _exact(value)) for name, value in found.params[best].items()]
    return [score, Table(("parameter", "value"), rows)]


def _exact(value: Any) -> str:
    """With all digits, so that it can be set again."""
    number = value.item() if isinstance(value, np.generic) else value
    return repr(number) if isinstance(number, float) else written(number)


def _leaderboard(search: Any, found: Candidates, n_rows: int) -> list[Part]:
    """The best candidates, with each parameter that differs, epochs and time."""
    order = np.argsort(np.where(found.failed, np.inf, -found.scores), kind="stable")
    shown = [int(index) for index in order[: min(n_rows, int((~found.failed).sum()))]]
    columns = [
        ("rank", [str(rank + 1) for rank in range(len(shown))]),
        ("candidate", [str(index) for index in shown]),
        (found.score_name, _numbers(found.scores, shown)),
        ("deviation", _numbers(found.deviations, shown)),
        *_more_columns(search.cv_results_, found, shown),
        ("seconds", _numbers(found.seconds, shown)),
    ]
    for name, short in short_names(parameters_of(_CALLER, found, None)).items():
        own = [found.params[index] for index in shown]
        columns.append((short, [written(params[name]) if name in params else "" for params in own]))
    names, cells = zip(*columns, strict=True)
    return [Table(names, [*zip(*cells, strict=True)]), _left_out(search, found, len(shown))]


def _more_columns(
    results: Mapping[str, Any], found: Candidates, shown: Sequence[int]
) -> list[tuple[str, list[str]]]:
    """What only some searches have: other scores, stages, epochs."""
    columns = [
        (name, _numbers(results[f"mean_test_{name}"], shown)) for name in _other_scores(results, found.metric)
    ]
    if found.stages:
        columns.append(("stage", [found.stages[index] for index in shown]))
    epochs = _mean_epochs(results)
    return columns if epochs is None else [*columns, ("epochs", _numbers(epochs, shown))]


def _numbers(column: Any, shown: Sequence[int]) -> list[str]:
    return [f"{column[index]:.4g}" if np.isfinite(column[index]) else "" for index in shown]


def _left_out(search: Any, found: Candidates, n_shown: int) -> str:
    n_failed = int(found.failed.sum())
    n_more = len(found.scores) - n_failed - n_shown
    more = f"{n_more} more have lower scores. " if n_more else ""
    failed = f"{n_failed} failed and have none." if n_failed else "None failed."
    score: Any = getattr(search, "error_score", None)
    if isinstance(score, Real) and math.isfinite(score):
        failed = f"Those that failed count with a score of {score:g}."
    means = "Scores, deviations and mean epochs are over the splits; seconds are of all splits."
    return f"{more}{failed} {means}"


def _other_scores(results: Mapping[str, Any], metric: str) -> list[str]:
    names = [name.removeprefix("mean_test_") for name in results if name.startswith("mean_test_")]
    return [name for name in names if name != metric]


def _mean_epochs(results: Mapping[str, Any]) -> np.ndarray | None:
    """By candidate, over the splits that trained; None where nothing says."""
    own = [
        column for name, column in results.items() if name.startswith("split") and name.endswith("_epochs")
    ]
    return np.ma.mean(np.ma.stack(own), axis=0).astype(float).filled(np.nan) if own else None


def _pictures(search: Any, found: Candidates) -> list[Part]:
    history = SearchHistoryDisplay.from_candidates(found)
    shows = f"{found.score_name} of each candidate and the best so far, against"
    parts: list[Part] = [
        _picture(f"{shows} {by}", partial(history.plot, by=by))
        for by in ["candidates"] + ["time"] * bool(found.seconds.any())
    ]
    names = parameters_of(_CALLER, found, None)
    return parts + _parameters(search, found, names) if names else parts


def _parameters(search: Any, found: Candidates, names: Sequence[str]) -> list[Part]:
    drawn, spaces = names[:_MOST_PARAMETERS], spaces_of(search)
    slices = SliceDisplay.from_candidates(found, drawn, spaces)
    parallel = ParallelCoordinatesDisplay.from_candidates(found, drawn, spaces)
    figure = figure_with(grid_size(len(drawn)))
    slices.plot(grid_in(figure, len(drawn)))
    shows = "All parameters and the score, a line for each candidate"
    parts: list[Part] = [
        Picture(as_svg(figure), f"{found.score_name} against each parameter"),
        _picture(shows, parallel.plot, parallel.size),
    ]
    if len(names) > len(drawn):
        parts.append(f"Drawn are the first {len(drawn)} of {len(names)} parameters.")
    return parts


def _picture(shows: str, draw: Callable[[Any], Any], size: tuple[float, float] = (7.2, 4.0)) -> Picture:
    figure = figure_with(size)
    draw(figure.subplots())
    return Picture(as_svg(figure), shows)


def _curves(search: Any, metric: str | None) -> list[Part]:
    try:
        curves, best = curves_of_search(_CALLER, search, "loss", metric)
    except ValueError as error:
        return [f"There are none: {error}."]
    display = LearningCurvesDisplay(curves, best=best)
    return [_picture("The loss of all candidates by epoch, the best on top", display.plot)]


def _rates(search: Any, found: Candidates, best: int) -> list[Part]:
    """The best candidate's learning rate, where it moves."""
    own = innermost(clone(search.estimator).set_params(**found.params[best])) if best >= 0 else None
    if not isinstance(own, BaseKerasEstimator):
        return []
    schedules: dict[str, Any] = {
        type(one).__name__: one
        for one in copied(own._fit_callbacks_given())
        if isinstance(one, LearningRateCallback)
    }
    if own.schedule != "constant" or own.warmup_epochs:
        schedules[f"{own.schedule}, warmup_epochs={own.warmup_epochs:g}"] = own.schedule
    if not schedules:
        return []
    rate: Any = getattr(own, "learning_rate", None)
    known = isinstance(rate, Real)
    arguments = {
        "epochs": max(epochs_of(one, search._n_samples) for one in (own, innermost(search.estimator))),
        "learning_rate": rate if known else 1.0,
        "warmup_epochs": own.warmup_epochs,
    }
    of = "" if known else ", times the optimizer's own"
    draw = partial(ScheduleDisplay.from_schedules, schedules, **arguments)
    return [_picture(f"The learning rate of the best candidate by epoch{of}", lambda ax: draw(ax=ax))]


def _diagnosis(search: Any, best: int) -> list[Part]:
    try:
        return [diagnose(_decided_for(search, best))]
    except (TypeError, ValueError) as error:
        return [f"There is none: {error}."]


def _decided_for(search: Any, best: int) -> Any:
    """The search as if it had decided for that candidate, which `diagnose` asks it for."""
    if best < 0 or getattr(search, "best_index_", None) == best:
        return search
    other = copy(search)
    other.best_index_ = best
    vars(other).pop("best_estimator_", None)
    return other


def _plan(search: Any) -> list[Part]:
    plan = getattr(search, "plan_", None)
    if plan is None:
        return ["The search has no plan: it ended before it was made."]
    parts: list[Part] = []
    if plan.groups:
        head = ("group", "members", "candidates", "weights", "padding", "MB", "seconds", "graph")
        parts.append(Table(head, [_group(*numbered) for numbered in enumerate(plan.groups[:_MOST_ROWS])]))
        parts.append("Seconds are those that were expected of one core.")
    if len(plan.groups) > _MOST_ROWS:
        parts.append(f"{len(plan.groups) - _MOST_ROWS} more groups are not shown.")
    reasons = Counter(one.reason for one in plan.alone)
    if reasons:
        rows = [(str(count), reason) for reason, count in reasons.most_common(_MOST_ROWS)]
        parts += ["Not stacked:", Table(("fits", "reason"), rows)]
    return parts or ["Nothing was trained."]


def _group(number: int, group: Any) -> tuple[str, ...]:
    n_candidates = len({candidate for candidate, _ in group.fits})
    counts = (number, len(group.fits), n_candidates, group.n_weights)
    size = f"{group.n_bytes / 2**20:.1f}"
    return (*map(str, counts), f"{group.padding:.0%}", size, f"{group.seconds:.1f}", group.graph)


def _times(search: Any, found: Candidates) -> list[Part]:
    spent = dict(getattr(search, "seconds_", {}))
    if hasattr(search, "refit_time_"):
        spent["refitting"] = search.refit_time_
    total = sum(spent.values())
    rows = [(name, f"{own:.2f}", f"{own / total:.0%}" if total else "") for name, own in spent.items()]
    fits = f"Fits and scores, each with its share of what it trained with: {found.seconds.sum():.1f} s."
    return [Table(("what", "seconds, over all threads", "share"), rows), fits]


def _searched(search: Any) -> list[Part]:
    drawn_from = [(name, described(own)) for name, spaces in spaces_of(search).items() for own in spaces]
    settings = [
        (name, " ".join(repr(value).split()))
        for name, value in search.get_params(deep=False).items()
        if name not in _NO_SETTINGS
    ]
    return [
        Code(repr(search.estimator)),
        Table(("parameter", "drawn from"), [*dict.fromkeys(drawn_from)]),
        Table(("setting", "value"), settings),
    ]


def described(values: Any) -> str:
    """What a parameter is drawn from, in words of one line.

    >>> from scipy.stats import loguniform
    >>> described(loguniform(1e-4, 0.1)), described([1, 2, 3]), described(range(1, 100))
    ('loguniform(0.0001, 0.1)', '1, 2, 3', 'range(1, 100)')
    """
    kind = getattr(getattr(values, "dist", None), "name", None)
    if kind is not None:
        keywords = [f"{name}={written(own)}" for name, own in values.kwds.items()]
        return f"{kind}({', '.join([*map(written, values.args), *keywords])})"
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, range | str):
        return written(values)
    shown = ", ".join(map(written, values[:12]))
    return shown if len(values) <= 12 else f"{shown}, ..., {written(values[-1])} ({len(values)} values)"


def _versions() -> Table:
    backend = keras.backend.backend()
    rows = [("Python", platform.python_version()), ("kerashp", __version__)]
    rows += [(name, version(name)) for name in _LIBRARIES]
    rows += [(backend, import_module(backend).__version__)]  # its package may have another name
    return Table(("library", "version"), rows)
