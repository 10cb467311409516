"""The loggers of a search: while it runs, and afterwards."""

from contextlib import suppress
from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from kerashp._arguments import Arguments
from kerashp.estimators._nesting import innermost
from kerashp.model_selection._logging.protocol import SearchLogger
from kerashp.model_selection._logging.reporter import CandidateReporter, SearchLog
from kerashp.model_selection._storage.protocol import SearchStorage

_METHODS = ("begin", "candidate", "best", "end")
_EXPECTED = (
    f"an object with the methods {', '.join(_METHODS)}, such as kerashp.integrations.CSVLogger('results.csv')"
)


class LoggingMixin(BaseEstimator):
    """A search that reports its candidates to loggers."""

    _space: ClassVar[str]  # the parameter that holds what is searched

    search_id_: str
    _search_log: SearchLog

    def log_to(self, logger: SearchLogger) -> Self:
        """Report the candidates of a fitted search to a logger, which adds those that it lacks.

        Parameters
        ----------
        logger : SearchLogger
            An object such as `kerashp.integrations.CSVLogger`, whether the search had it in `loggers` or not.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If it has not the methods of a logger.
        sklearn.exceptions.NotFittedError
        Exception
            Any error of the logger.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import RidgeClassifier
        >>> from kerashp.integrations import CSVLogger
        >>> from kerashp.model_selection import GridSearchCV
        >>> grid = GridSearchCV(RidgeClassifier(), {"alpha": [0.01, 1.0]}, cv=2)
        >>> search = grid.fit(*load_iris(return_X_y=True))
        >>> with TemporaryDirectory() as folder:
        ...     logger = CSVLogger(f"{folder}/results.csv")
        ...     _ = search.log_to(logger).log_to(logger)  # the second call adds nothing
        ...     len(Path(f"{folder}/results.csv").read_text().splitlines())
        3
        """
        check_is_fitted(self, "_search_log")
        _check_logger(f"{type(self).__name__}.log_to", "logger", logger)
        log = self._search_log
        logger.begin(log.search)
        try:
            for index in sorted(log.candidates):
                logger.candidate(log.candidates[index])
            if self.refit and log.status != "failed":
                logger.best(self.best_estimator_)
        except BaseException:
            with suppress(Exception):
                logger.end("failed")
            raise
        logger.end(log.status)
        return self

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        # scikit-learn's tasks hold the search: workers get no loggers.
        return state | {"loggers": None} if "_run" in vars(self) else state

    def _check_loggers(self) -> None:
        for logger in self._list_of_loggers():
            _check_logger(type(self).__name__, "loggers", logger)

    def _list_of_loggers(self) -> list[Any]:
        loggers = self.loggers
        if loggers is None:
            return []
        return list(loggers) if isinstance(loggers, list | tuple) else [loggers]

    def _new_reporter(self, storage: SearchStorage, space: Any) -> CandidateReporter:
        name = f"{type(self).__name__} of {type(innermost(self.estimator)).__name__}"
        reporter = CandidateReporter(self._list_of_loggers(), storage.search_id, name, space, storage.results)
        storage.call_after_results(reporter.add)
        return reporter


def _check_logger(caller: str, name: str, logger: Any) -> None:
    is_logger = all(callable(getattr(logger, method, None)) for method in _METHODS)
    if isinstance(logger, type) or not is_logger:
        raise Arguments(caller).wrong_type(name, _EXPECTED, logger)
