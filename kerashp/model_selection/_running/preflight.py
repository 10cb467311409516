"""Checks before anything trains: of rows that no fit accepts, and of scorers that always fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline
from sklearn.utils import assert_all_finite, get_tags

from kerashp._compat.sklearn import is_scorer, scorers_by_name
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._data.validation_rows import warn_of_unlike_rows
from kerashp.estimators._nesting import innermost, wrappers_of
from kerashp.estimators._training.handover import Fitting, ResumedFit, resuming
from kerashp.estimators._training.shared_tables import sharing_tables
from kerashp.model_selection._fits.task import Task
from kerashp.model_selection._planning.prepare import FitPreparer
from kerashp.training import without_warnings

Sample = Sequence[tuple[Task, Fitting]]  # a candidate's fits, ready to train

_NOT_FINITE = ("Input X contains", "Input y contains")  # how scikit-learn's errors begin


def check_finite(estimator: Any, X: Any, y: Any) -> None:
    """Refuse rows that the estimator refuses. X in a pipeline is not checked: a step may mend it.

    Raises
    ------
    ValueError
        If a number is not finite; with scikit-learn's message.
    """
    inner = innermost(estimator)
    if not isinstance(inner, BaseKerasEstimator):
        return
    allow_nan = {"X": get_tags(inner).input_tags.allow_nan, "y": False}
    in_pipeline = any(isinstance(outer, Pipeline) for outer in wrappers_of(estimator))
    for name, values in ([] if in_pipeline else [("X", X)]) + [("y", y)]:
        array = values.tocsr().data if issparse(values) else _as_array(values)
        if array is not None and array.dtype.kind == "f":
            assert_all_finite(
                array, allow_nan=allow_nan[name], input_name=name, estimator_name=type(inner).__name__
            )


def _as_array(values: Any) -> np.ndarray | None:
    """The values as an array; None where that fails, for which the fits will raise an error."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError):
        return None


@dataclass(frozen=True)
class Preflight:
    """Checks the fits of a search that are ready to train.

    Attributes
    ----------
    scoring : str, callable, list, tuple, dict or None
        As in the search.
    refit : bool, str or callable
        As in the search.
    is_one_round : bool
        Whether the first candidates are all candidates.
    """

    scoring: Any
    refit: Any
    is_one_round: bool

    def check(self, tasks: Sequence[Task], preparer: FitPreparer) -> None:
        """Raise an error that would end the search anyway, and release the sample of fits.

        Raises
        ------
        ValueError
            If every candidate refuses rows that are not finite, and the best is refitted to all rows; or if
            the scorer that ranks candidates fails on all splits.
        """
        if self.is_one_round and self.refit:
            _check_rows(tasks, preparer.errors)
        sample, preparer.sample = preparer.sample, []
        _warn_of_validation(sample)
        if sample and len(sample) == sample[0][0].n_splits:
            with sharing_tables(preparer.tables):
                self._check_scorer(sample)

    def _check_scorer(self, sample: Sample) -> None:
        """Refuse a scorer that raises an error on all splits of a candidate, for plausible predictions.

        A function of the user, which may look at more than predictions, is not tried.
        """
        task = sample[0][0]
        scorer = task.keywords["scorer"]
        by_name = scorers_by_name(scorer)
        if by_name is not None:
            scorer = by_name.get(self.refit) if isinstance(self.refit, str) else None
        if not is_scorer(scorer):
            return
        first: Exception | None = None
        for task_of_split, fitting in sample:
            error = _scoring_error(scorer, task_of_split, fitting)
            if error is None:
                return
            first = first or error
        assert first is not None
        if task.keywords["error_score"] == "raise":
            first.add_note(task.described())
            raise first
        name = repr(self.scoring if isinstance(self.scoring, str) else scorer)
        message = f"{type(first).__name__}: {str(first).rstrip('.')}"
        raise ValueError(
            f"The scorer {name} fails on the test rows of all {len(sample)} splits, so nothing was trained: "
            f"{message}. Choose a scoring for this kind of estimator and of y; "
            "sklearn.metrics.make_scorer passes arguments such as pos_label, average or labels to a metric"
        ) from first


def _check_rows(tasks: Sequence[Task], errors: Mapping[tuple[int, int], Exception]) -> None:
    refused = [task for task in tasks if str(errors.get(task.fit_id, "")).startswith(_NOT_FINITE)]
    if {task.candidate for task in refused} == {task.candidate for task in tasks}:
        error = errors[refused[0].fit_id]
        error.add_note(refused[0].described())
        raise error


def _warn_of_validation(sample: Sample) -> None:
    """Warn once of `validation_data` that is unlike the rows of the first fit."""
    for _, fitting in sample[:1]:
        if fitting.validation is not None and fitting.validation.positions is None:
            warn_of_unlike_rows(fitting.rows.X, fitting.validation.X)


def _scoring_error(scorer: Any, task: Task, fitting: Fitting) -> Exception | None:
    """The error of a scorer for the test rows, where the network's outputs are targets of the training rows.

    None also where the fit or its predictions fail, since those of other candidates may not.
    """

    def outputs(X: np.ndarray) -> np.ndarray:
        targets = fitting.state.target_encoder.outputs(fitting.rows.y)
        return targets[np.linspace(0, len(targets) - 1, len(X)).astype(int)]

    estimator, random_state = task.candidates_estimator(), np.random.get_state()
    resumed = ResumedFit(fitting.state, replace(fitting.arguments, callbacks=[]), {"loss": [0.0]}, outputs)
    with without_warnings(), resuming(resumed):  # the predictions are of no use
        try:
            task.fit(estimator)
            task.score(estimator, _predictions)
        except Exception:
            return None
        finally:
            np.random.set_state(random_state)
        try:
            task.score(estimator, scorer)
        except Exception as error:
            return error
    return None


def _predictions(estimator: Any, X: Any, *_: Any, **__: Any) -> Any:
    return estimator.predict(X)
