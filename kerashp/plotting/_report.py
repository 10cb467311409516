"""The report of a search on one HTML page."""

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
from kerashp._files import atomic_write
from kerashp._version import __version__
from kerashp.diagnostics import diagnose
from kerashp.diagnostics._foundations.result import Table
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost
from kerashp.estimators._training.callbacks import copy_callbacks
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
from kerashp.plotting._scales import value_text
from kerashp.plotting._schedules import ScheduleDisplay
from kerashp.plotting._search_history import SearchHistoryDisplay
from kerashp.plotting._slices import SliceDisplay
from kerashp.training import LearningRateCallback

_CALLER = "report"
_CHECK = Arguments(_CALLER)
_MAX_ROWS = 50  # of a table, except the leaderboard
_MAX_PARAMETERS = 24  # in the plots
_OMITTED_SETTINGS = {  # shown elsewhere, or without effect on the results
    *("estimator", *SPACES),
    *("verbose", "n_jobs", "pre_dispatch", "journal", "journal_every", "max_memory"),
}
_LIBRARIES = ("keras", "scikit-learn", "scipy", "numpy", "matplotlib")


def write_report(
    search: Any, path: Any, *, title: str | None = None, metric: str | None = None, n_top: int = 20
) -> Path:
    """Write the page; see `PopulationSearchMixin.report`."""
    require(_CALLER)
    file = _checked_path(path)
    if title is not None and not isinstance(title, str):
        raise _CHECK.wrong_type("title", "a str or None", title)
    text = report_html(search, title=title, metric=metric, n_top=n_top)
    with atomic_write(file, lambda temporary: _write(temporary, text.encode("utf-8"))):
        pass
    return file


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _checked_path(path: Any) -> Path:
    expected = "the path of a file in a folder that exists"
    if not isinstance(path, str | os.PathLike):
        raise _CHECK.wrong_type("path", expected, path)
    file = Path(path)
    if file.is_dir():
        raise ValueError(f"{_CALLER}: path must be {expected}; {str(file)!r} is a folder. Add a file name")
    if not file.parent.is_dir():
        raise ValueError(
            f"{_CALLER}: path must be {expected}; got {str(file)!r}, but there is no folder "
            f"{str(file.parent)!r}. Create it first"
        )
    return file


def report_html(search: Any, *, title: str | None, metric: str | None, n_top: int) -> str:
    """The report as HTML."""
    n_rows = _CHECK.integer("n_top", n_top, at_least=1)
    candidates = candidates_of(_CALLER, search, metric)
    best = best_index(_CALLER, search, metric)
    name = f"{type(search).__name__} of {type(search.estimator).__name__}"
    sections = [
        Section("The best candidate", _best_section(candidates, best)),
        Section("Leaderboard", _leaderboard(search, candidates, n_rows)),
        Section("How the search went", _pictures(search, candidates)),
        Section(
            "Learning curves", _curve_section(search, metric) + _schedule_section(search, candidates, best)
        ),
        Section("Diagnosis of the best candidate", _diagnosis_section(search, best)),
        Section("What trained together", _plan_section(search)),
        Section("Where the time went", _time_section(search, candidates)),
        Section("What was searched", _space_section(search)),
        Section("Versions", [_version_table()]),
    ]
    return page(name if title is None else title, [_summary(search, candidates, best)], sections)


def _summary(search: Any, candidates: Candidates, best: int) -> str:
    n_failed = int(candidates.failed.sum())
    splits = f" on {search.n_splits_} splits each" if hasattr(search, "n_splits_") else ""
    counts = f"{len(candidates.scores)} candidates{splits}; {n_failed or 'none'} failed."
    if best < 0:
        return counts
    return f"{counts} The best {candidates.score_name}: {candidates.scores[best]:.4g} (candidate {best})."


def _best_section(candidates: Candidates, best: int) -> list[Part]:
    if best < 0:
        return ["All candidates failed."]
    deviation = f"a deviation of {candidates.deviations[best]:.2g} between splits"
    score = f"{candidates.score_name}: {candidates.scores[best]:.4g}, with {deviation}."
    rows = [(name, _exact_text(value)) for name, value in candidates.params[best].items()]
    return [score, Table(("parameter", "value"), rows)]


def _exact_text(value: Any) -> str:
    """The value with all digits, so that it can be copied."""
    number = value.item() if isinstance(value, np.generic) else value
    return repr(number) if isinstance(number, float) else value_text(number)


def _leaderboard(search: Any, candidates: Candidates, n_rows: int) -> list[Part]:
    """The best candidates with the parameters that differ between candidates, epochs and time."""
    order = np.argsort(np.where(candidates.failed, np.inf, -candidates.scores), kind="stable")
    ranking = [int(index) for index in order[: min(n_rows, int((~candidates.failed).sum()))]]
    columns = [
        ("rank", [str(rank + 1) for rank in range(len(ranking))]),
        ("candidate", [str(index) for index in ranking]),
        (candidates.score_name, _number_cells(candidates.scores, ranking)),
        ("deviation", _number_cells(candidates.deviations, ranking)),
        *_search_columns(search.cv_results_, candidates, ranking),
        ("seconds", _number_cells(candidates.seconds, ranking)),
    ]
    for name, short in short_names(parameters_of(_CALLER, candidates, None)).items():
        rows = [candidates.params[index] for index in ranking]
        columns.append((short, [value_text(params[name]) if name in params else "" for params in rows]))
    names, cells = zip(*columns, strict=True)
    return [Table(names, [*zip(*cells, strict=True)]), _leaderboard_note(search, candidates, len(ranking))]


def _search_columns(
    results: Mapping[str, Any], candidates: Candidates, indices: Sequence[int]
) -> list[tuple[str, list[str]]]:
    """The columns of some searches: other scores, stages, epochs."""
    columns = [
        (name, _number_cells(results[f"mean_test_{name}"], indices))
        for name in _other_scores(results, candidates.metric)
    ]
    if candidates.stages:
        columns.append(("stage", [candidates.stages[index] for index in indices]))
    epochs = _mean_epochs(results)
    return columns if epochs is None else [*columns, ("epochs", _number_cells(epochs, indices))]


def _number_cells(column: Any, indices: Sequence[int]) -> list[str]:
    return [f"{column[index]:.4g}" if np.isfinite(column[index]) else "" for index in indices]


def _leaderboard_note(search: Any, candidates: Candidates, n_shown: int) -> str:
    n_failed = int(candidates.failed.sum())
    n_more = len(candidates.scores) - n_failed - n_shown
    more = f"{n_more} more candidates have lower scores. " if n_more else ""
    failed = f"{n_failed} candidates failed and have no score." if n_failed else "No candidate failed."
    score: Any = getattr(search, "error_score", None)
    if isinstance(score, Real) and math.isfinite(score):
        failed = f"Failed candidates have a score of {score:g}."
    means = "Scores and epochs are means over the splits, deviations are over the splits, seconds are totals."
    return f"{more}{failed} {means}"


def _other_scores(results: Mapping[str, Any], metric: str) -> list[str]:
    names = [name.removeprefix("mean_test_") for name in results if name.startswith("mean_test_")]
    return [name for name in names if name != metric]


def _mean_epochs(results: Mapping[str, Any]) -> np.ndarray | None:
    """The mean epochs of each candidate over its splits; None if the results have no epochs."""
    by_split = [
        column for name, column in results.items() if name.startswith("split") and name.endswith("_epochs")
    ]
    return np.ma.mean(np.ma.stack(by_split), axis=0).astype(float).filled(np.nan) if by_split else None


def _pictures(search: Any, candidates: Candidates) -> list[Part]:
    history = SearchHistoryDisplay.from_candidates(candidates)
    description = f"{candidates.score_name} of each candidate and the best so far, against"
    parts: list[Part] = [
        _picture(f"{description} {by}", partial(history.plot, by=by))
        for by in ["candidates"] + ["time"] * bool(candidates.seconds.any())
    ]
    names = parameters_of(_CALLER, candidates, None)
    return parts + _parameter_pictures(search, candidates, names) if names else parts


def _parameter_pictures(search: Any, candidates: Candidates, names: Sequence[str]) -> list[Part]:
    drawn, spaces = names[:_MAX_PARAMETERS], spaces_of(search)
    slices = SliceDisplay.from_candidates(candidates, drawn, spaces)
    parallel = ParallelCoordinatesDisplay.from_candidates(candidates, drawn, spaces)
    figure = figure_with(grid_size(len(drawn)))
    slices.plot(grid_in(figure, len(drawn)))
    description = "All parameters and the score, a line for each candidate"
    parts: list[Part] = [
        Picture(as_svg(figure), f"{candidates.score_name} against each parameter"),
        _picture(description, parallel.plot, parallel.size),
    ]
    if len(names) > len(drawn):
        parts.append(f"The plots show the first {len(drawn)} of {len(names)} parameters.")
    return parts


def _picture(description: str, draw: Callable[[Any], Any], size: tuple[float, float] = (7.2, 4.0)) -> Picture:
    figure = figure_with(size)
    draw(figure.subplots())
    return Picture(as_svg(figure), description)


def _curve_section(search: Any, metric: str | None) -> list[Part]:
    try:
        curves, best = curves_of_search(_CALLER, search, "loss", metric)
    except ValueError as error:
        return [f"There are no curves: {error}."]
    display = LearningCurvesDisplay(curves, best=best)
    return [_picture("The loss of all candidates by epoch, the best on top", display.plot)]


def _schedule_section(search: Any, candidates: Candidates, best: int) -> list[Part]:
    """The learning rate of the best candidate, if it is not constant."""
    best_estimator = clone(search.estimator).set_params(**candidates.params[best]) if best >= 0 else None
    network = innermost(best_estimator)
    if not isinstance(network, BaseKerasEstimator):
        return []
    schedules: dict[str, Any] = {
        type(callback).__name__: callback
        for callback in copy_callbacks(network._callbacks_parameter())
        if isinstance(callback, LearningRateCallback)
    }
    if network.schedule != "constant" or network.warmup_epochs:
        schedules[f"{network.schedule}, warmup_epochs={network.warmup_epochs:g}"] = network.schedule
    if not schedules:
        return []
    rate: Any = getattr(network, "learning_rate", None)
    is_known = isinstance(rate, Real)
    arguments = {
        "epochs": max(epochs_of(part, search._n_samples) for part in (network, innermost(search.estimator))),
        "learning_rate": rate if is_known else 1.0,
        "warmup_epochs": network.warmup_epochs,
    }
    unit = "" if is_known else ", as a multiple of the optimizer's rate"
    draw = partial(ScheduleDisplay.from_schedules, schedules, **arguments)
    return [_picture(f"The learning rate of the best candidate by epoch{unit}", lambda ax: draw(ax=ax))]


def _diagnosis_section(search: Any, best: int) -> list[Part]:
    try:
        return [diagnose(_search_with_best(search, best))]
    except (TypeError, ValueError) as error:
        return [f"There is no diagnosis: {error}."]


def _search_with_best(search: Any, best: int) -> Any:
    """The search with another best candidate, for `diagnose`."""
    if best < 0 or getattr(search, "best_index_", None) == best:
        return search
    changed = copy(search)
    changed.best_index_ = best
    vars(changed).pop("best_estimator_", None)
    return changed


def _plan_section(search: Any) -> list[Part]:
    plan = getattr(search, "plan_", None)
    if plan is None:
        return ["The search has no plan, because it ended before planning."]
    parts: list[Part] = []
    if plan.groups:
        columns = ("group", "members", "candidates", "weights", "padding", "MB", "seconds", "graph")
        parts.append(
            Table(columns, [_group_cells(*numbered) for numbered in enumerate(plan.groups[:_MAX_ROWS])])
        )
        parts.append("Seconds are the expected time on one core.")
    if len(plan.groups) > _MAX_ROWS:
        parts.append(f"{len(plan.groups) - _MAX_ROWS} more groups are not shown.")
    reasons = Counter(fit.reason for fit in plan.alone)
    if reasons:
        rows = [(str(count), reason) for reason, count in reasons.most_common(_MAX_ROWS)]
        parts += ["Fits that trained separately:", Table(("fits", "reason"), rows)]
    return parts or ["Nothing was trained."]


def _group_cells(number: int, group: Any) -> tuple[str, ...]:
    n_candidates = len({candidate for candidate, _ in group.fits})
    counts = (number, len(group.fits), n_candidates, group.n_weights)
    size = f"{group.n_bytes / 2**20:.1f}"
    return (*map(str, counts), f"{group.padding:.0%}", size, f"{group.seconds:.1f}", group.graph)


def _time_section(search: Any, candidates: Candidates) -> list[Part]:
    seconds = dict(getattr(search, "seconds_", {}))
    if hasattr(search, "refit_time_"):
        seconds["refitting"] = search.refit_time_
    total = sum(seconds.values())
    rows = [
        (name, f"{spent:.2f}", f"{spent / total:.0%}" if total else "") for name, spent in seconds.items()
    ]
    fits = (
        "Fitting and scoring of all candidates, each with its share of the time of its group: "
        f"{candidates.seconds.sum():.1f} s."
    )
    return [Table(("activity", "seconds, over all threads", "share"), rows), fits]


def _space_section(search: Any) -> list[Part]:
    spaces = [(name, space_text(space)) for name, spaces in spaces_of(search).items() for space in spaces]
    settings = [
        (name, " ".join(repr(value).split()))
        for name, value in search.get_params(deep=False).items()
        if name not in _OMITTED_SETTINGS
    ]
    return [
        Code(repr(search.estimator)),
        Table(("parameter", "drawn from"), [*dict.fromkeys(spaces)]),
        Table(("setting", "value"), settings),
    ]


def space_text(values: Any) -> str:
    """A distribution or a list of values as text of one line.

    >>> from scipy.stats import loguniform
    >>> space_text(loguniform(1e-4, 0.1)), space_text([1, 2, 3]), space_text(range(1, 100))
    ('loguniform(0.0001, 0.1)', '1, 2, 3', 'range(1, 100)')
    """
    kind = getattr(getattr(values, "dist", None), "name", None)
    if kind is not None:
        keywords = [f"{name}={value_text(value)}" for name, value in values.kwds.items()]
        return f"{kind}({', '.join([*map(value_text, values.args), *keywords])})"
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, range | str):
        return value_text(values)
    first = ", ".join(map(value_text, values[:12]))
    return first if len(values) <= 12 else f"{first}, ..., {value_text(values[-1])} ({len(values)} values)"


def _version_table() -> Table:
    backend = keras.backend.backend()
    rows = [("Python", platform.python_version()), ("kerashp", __version__)]
    rows += [(name, version(name)) for name in _LIBRARIES]
    rows += [(backend, import_module(backend).__version__)]  # the distribution may have another name
    return Table(("library", "version"), rows)
