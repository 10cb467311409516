"""Results of fits as results of candidates, which loggers get as they end."""

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerashp.model_selection._fits.result import FitId, FitResult, Scores
from kerashp.model_selection._fits.task import Task
from kerashp.model_selection._logging.protocol import (
    CandidateResult,
    LoggerWarning,
    SearchDescription,
    SearchLogger,
)


@dataclass
class SearchLog:
    """What loggers can be told of a search, while it runs and afterwards.

    Attributes
    ----------
    search : SearchDescription
    candidates : dict from int to CandidateResult
        Those that have ended, by their numbers.
    status : str
    """

    search: SearchDescription
    candidates: dict[int, CandidateResult] = field(default_factory=dict)
    status: str = "running"


class CandidateReporter:
    """Reports candidates to loggers, each when all its fits have ended.

    Parameters
    ----------
    loggers : list of SearchLogger
    search_id, name : str
    space : Any
        Those of the `SearchDescription`.
    results : dict from (candidate, split) to FitResult
        The results of the search, which others add to.

    Attributes
    ----------
    log : SearchLog or None
        None before the candidates are known.
    """

    def __init__(
        self,
        loggers: Sequence[SearchLogger],
        search_id: str,
        name: str,
        space: Any,
        results: Mapping[FitId, FitResult],
    ):
        self.log: SearchLog | None = None
        self._loggers = _GuardedLoggers(loggers)
        self._search_id = search_id
        self._name = name
        self._space = space
        self._results = results
        self._params: dict[int, dict[str, Any]] = {}
        self._lost: Collection[int] = ()
        self._is_open = False

    def expect(self, tasks: Sequence[Task]) -> None:
        """Take note of candidates before they train."""
        self._params |= {task.candidate: task.keywords["parameters"] for task in tasks}
        if self.log is None:
            search = SearchDescription(self._search_id, self._name, self._space, tasks[0].n_splits)
            self.log = SearchLog(search)

    def begin(self) -> None:
        """Begin the log, and report the candidates that have ended in an earlier run of the search."""
        self._open()
        self._report_all()

    def add(self, fit: FitId) -> None:
        """Report the candidate of a fit that has ended, if it is the last of its fits."""
        self._report(fit[0])

    def end(self, status: str, estimator: Any = None, lost: Collection[int] = ()) -> None:
        """Report all other candidates that have ended, but for lost ones, and the best estimator.

        A search that ended before it trained anything, and has no candidate of an earlier run, is no log.
        """
        if self.log is None:
            return
        self.log.status = status
        self._lost = lost
        self._report_all()
        if not self._is_open:
            return
        if estimator is not None:
            self._loggers.call("best", estimator)
        self._loggers.call("end", status)

    def _open(self) -> None:
        if self.log is not None and not self._is_open:
            self._is_open = True
            self._loggers.call("begin", self.log.search)

    def _report_all(self) -> None:
        for candidate in self._params:
            self._report(candidate)

    def _report(self, candidate: int) -> None:
        if self.log is None or candidate in self.log.candidates:
            return
        fits = [self._results.get((candidate, split)) for split in range(self.log.search.n_splits)]
        ended = [fit for fit in fits if fit is not None]
        if len(ended) < len(fits):
            return
        result = candidate_result(candidate, self._params[candidate], ended)
        self.log.candidates[candidate] = result
        if candidate not in self._lost:
            self._open()
            self._loggers.call("candidate", result)


class _GuardedLoggers:
    """Loggers of which each is called until it raises an error."""

    def __init__(self, loggers: Sequence[SearchLogger]):
        self._loggers = list(loggers)

    def call(self, method: str, argument: Any) -> None:
        """Call a method of every logger."""
        for logger in list(self._loggers):
            try:
                getattr(logger, method)(argument)
            except Exception as error:
                self._loggers = [other for other in self._loggers if other is not logger]
                name = type(logger).__name__
                warnings.warn(
                    f"{name}.{method} failed: {type(error).__name__}: {error}. The search continues without "
                    "this logger; search.log_to(logger) adds what it lacks",
                    LoggerWarning,
                    stacklevel=2,
                )


def candidate_result(index: int, params: dict[str, Any], fits: Sequence[FitResult]) -> CandidateResult:
    """The result of a candidate from those of its fits, by split."""
    errors = [fit.fit_error.strip() for fit in fits if fit.fit_error is not None]
    return CandidateResult(
        index=index,
        params=params,
        test_scores=_by_name([fit.test_scores for fit in fits]),
        train_scores=_by_name([fit.train_scores for fit in fits if fit.train_scores is not None]),
        histories=[fit.history for fit in fits],
        best_epochs=[fit.best_epoch for fit in fits],
        seconds=float(sum(fit.fit_time + fit.score_time for fit in fits)),
        status="failed" if errors else "finished",
        error=errors[0].splitlines()[-1] if errors else None,
    )


def _by_name(scores: Sequence[Scores]) -> dict[str, np.ndarray]:
    """The scores of the splits, by name; a fit that failed may have one number for all names."""
    if not scores:
        return {}
    names = next((list(entry) for entry in scores if isinstance(entry, dict)), ["score"])
    return {
        name: np.array([entry[name] if isinstance(entry, dict) else entry for entry in scores], float)
        for name in names
    }
