"""The interface between a search and its loggers, and what a search tells them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kerashp.model_selection._logging.plain_values import PlainValue, plain_value


class LoggerWarning(UserWarning):
    """A logger of a search raised an error; the search goes on without it.

    Examples
    --------
    >>> import warnings
    >>> from kerashp.integrations import LoggerWarning
    >>> warnings.simplefilter("error", LoggerWarning)  # a search whose logger fails now raises an error
    >>> warnings.resetwarnings()
    """


@dataclass(frozen=True)
class SearchDescription:
    """What a search tells its loggers before it trains.

    Attributes
    ----------
    id : str
        32 hexadecimal digits, a new number for each `fit`; the same one where a search continues from its
        journal, and in `log_to`.
    name : str
        The classes of the search and its estimator.
    space : dict, list of dict, keras_tuner.HyperParameters or None
        What is searched, as the user passed it.
    n_splits : int
        The number of splits of the cross-validation.

    Examples
    --------
    >>> from kerashp.integrations import SearchDescription
    >>> space = {"n_neurons": [8, 16]}
    >>> search = SearchDescription("0" * 32, "GridSearchCV of KerasMLPClassifier", space, n_splits=3)
    >>> search.name
    'GridSearchCV of KerasMLPClassifier'
    """

    id: str
    name: str
    space: Any
    n_splits: int


@dataclass(frozen=True)
class CandidateResult:
    """The result of a candidate, over all splits.

    Attributes
    ----------
    index : int
        The number of the candidate, from 0, in the order in which the search proposed them. It is the
        position in `cv_results_`, unless a search that was stopped lacks candidates there.
    params : dict
        The values of the parameters that are searched.
    test_scores : dict from str to ndarray of shape (n_splits,)
        By the name of the score, which is "score" for a single one; `error_score` where a fit failed.
    train_scores : dict from str to ndarray of shape (n_splits,)
        Likewise for the training rows; empty unless the search has `return_train_score=True`.
    histories : list of dict
        The learning curves of each split; None for a fit that never trained.
    best_epochs : list of int
        The position of the best epoch in the curves of each split; None for a fit that never trained.
    seconds : float
        Spent on training and scoring, over all splits. Fits that train together share their time.
    status : str
        "finished", or "failed" where the fit of a split failed.
    error : str or None
        The last line of the first split's error that failed.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.integrations import CandidateResult
    >>> curves = [{"loss": [0.9, 0.5]}, {"loss": [0.7]}]
    >>> result = CandidateResult(0, {"l2": 0.1}, {"score": np.array([0.6, 0.8])}, {}, curves, [1, 0], 2.5)
    >>> {name: round(mean, 3) for name, mean in result.mean_test_scores().items()}
    {'score': 0.7}
    >>> result.mean_history()
    {'loss': [0.8, 0.5]}
    """

    index: int
    params: dict[str, Any]
    test_scores: dict[str, np.ndarray]
    train_scores: dict[str, np.ndarray]
    histories: list[dict[str, list[float]] | None]
    best_epochs: list[int | None]
    seconds: float
    status: str = "finished"
    error: str | None = None

    def mean_test_scores(self) -> dict[str, float]:
        """The mean of each test score over the splits.

        Returns
        -------
        dict from str to float
            NaN where a split has no score.
        """
        return {name: float(np.mean(scores)) for name, scores in self.test_scores.items()}

    def mean_history(self) -> dict[str, list[float]]:
        """The learning curves, at each epoch the mean over the splits that trained as long.

        Returns
        -------
        dict from str to list of float
            Empty if no fit trained.
        """
        histories = [history for history in self.histories if history]
        names = dict.fromkeys(name for history in histories for name in history)
        return {name: _mean_curve([history.get(name, []) for history in histories]) for name in names}

    def plain_params(self) -> dict[str, PlainValue]:
        """The parameters as numbers, strings and bools, for trackers that know no other types.

        Returns
        -------
        dict from str to bool, int, float or str
            None, and lists, tuples and dicts of simple values, become their short `repr`. A function is
            written by its name, any other object by the name of its class, an array by its shape.
        """
        return {name: plain_value(value) for name, value in self.params.items()}


class SearchLogger(Protocol):
    """The interface of a logger of searches.

    A search calls the methods in the order `begin`, `candidate` for each candidate as it ends, `best` if it
    refits, and `end`, from the main thread of the process that called `fit`. Any object with these four
    methods can be passed in `loggers=[...]`, and to `log_to`.

    Notes
    -----
    A logger keeps two rules. It adds a candidate only once: where a search continues from its journal, and
    in `log_to`, it gets candidates that it may have had before, with the same `SearchDescription.id`. And
    pickling and `copy.deepcopy` keep its options and drop what is open, since `sklearn.base.clone` copies it
    with the search.

    An error that a logger raises becomes a `LoggerWarning`. The search does not call this logger again, and
    goes on; what is missing is added by `search.log_to(logger)`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from kerashp.model_selection import GridSearchCV
    >>> class Printer:
    ...     def begin(self, search):
    ...         print(search.name)
    ...     def candidate(self, result):
    ...         print(result.params, f"{result.mean_test_scores()['score']:.2f}")
    ...     def best(self, estimator):
    ...         print("best:", estimator)
    ...     def end(self, status):
    ...         print(status)
    >>> grid = GridSearchCV(RidgeClassifier(), {"alpha": [0.5, 100.0]}, cv=3, loggers=Printer())
    >>> search = grid.fit(*load_iris(return_X_y=True))
    GridSearchCV of RidgeClassifier
    {'alpha': 0.5} 0.80
    {'alpha': 100.0} 0.75
    best: RidgeClassifier(alpha=0.5)
    finished
    """

    def begin(self, search: SearchDescription) -> None:
        """Take note of the search that the next candidates belong to.

        Parameters
        ----------
        search : SearchDescription
            The search, whose `id` tells it from others.
        """

    def candidate(self, result: CandidateResult) -> None:
        """Log a candidate, unless it has been logged before.

        Parameters
        ----------
        result : CandidateResult
            The candidate, all of whose fits have ended.
        """

    def best(self, estimator: Any) -> None:
        """Log the best candidate's estimator; it is called only where the search refits.

        Parameters
        ----------
        estimator : estimator
            `best_estimator_`, fitted on all rows.
        """

    def end(self, status: str) -> None:
        """Release what is open.

        Parameters
        ----------
        status : str
            "finished"; "stopped", by the timeout or Ctrl-C; or "failed".
        """


def _mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    """At each position, the mean over the curves that are as long."""
    length = max(map(len, curves), default=0)
    return [float(np.mean([curve[i] for curve in curves if len(curve) > i])) for i in range(length)]
