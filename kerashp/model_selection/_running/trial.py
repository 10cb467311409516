"""What a search finds out before anything trains: rows that no fit takes, scorers that always fail."""

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
from kerashp.estimators._nesting import around, innermost
from kerashp.estimators._training.handover import Fitting, Resumed, resuming
from kerashp.model_selection._fits.task import Task
from kerashp.model_selection._planning.prepare import FitPreparer
from kerashp.training import without_warnings

Sample = Sequence[tuple[Task, Fitting]]  # a candidate's fits, ready to train

_NOT_FINITE = ("Input X contains", "Input y contains")  # how scikit-learn's errors begin


def check_finite(estimator: Any, X: Any, y: Any) -> None:
    """Refuse rows that the estimator refuses, X where no step of a pipeline may mend them.

    Raises
    ------
    ValueError
        If there is a number that is not finite, in scikit-learn's words.
    """
    inner = innermost(estimator)
    if not isinstance(inner, BaseKerasEstimator) or get_tags(inner).input_tags.allow_nan:
        return
    in_pipeline = any(isinstance(outer, Pipeline) for outer in around(estimator))
    for name, values in ([] if in_pipeline else [("X", X)]) + [("y", y)]:
        array = values.tocsr().data if issparse(values) else _as_array(values)
        if array is not None and array.dtype.kind == "f":
            assert_all_finite(array, input_name=name, estimator_name=type(inner).__name__)


def _as_array(values: Any) -> np.ndarray | None:
    """None for what is no array; the fits say why."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError):
        return None


@dataclass(frozen=True)
class Trial:
    """Looks at fits that are ready to train.

    Attributes
    ----------
    scoring : str, callable, list, tuple, dict or None
        The search's.
    refit : bool, str or callable
        The search's.
    whole : bool
        Whether the first candidates are all there will be.
    """

    scoring: Any
    refit: Any
    whole: bool

    def run(self, tasks: Sequence[Task], preparation: FitPreparer) -> None:
        """Raise what is known to end the search, and let the sample of fits go.

        Raises
        ------
        ValueError
            If each candidate is refused some rows that are not finite, and the best is to be refitted to
            all; or if the scorer that decides fails on all splits.
        """
        if self.whole and self.refit:
            _check_rows(tasks, preparation.errors)
        sample, preparation.sample = preparation.sample, []
        _warn_of_validation(sample)
        if sample and len(sample) == sample[0][0].n_splits:
            self._check_scorer(sample)

    def _check_scorer(self, sample: Sample) -> None:
        """Refuse a scorer that raises on all splits of a candidate, for predictions as good as any.

        One of the user's that looks at more than predictions is not tried.
        """
        task = sample[0][0]
        scorer = task.keywords["scorer"]
        by_name = scorers_by_name(scorer)
        if by_name is not None:
            scorer = by_name.get(self.refit) if isinstance(self.refit, str) else None
        if not is_scorer(scorer):
            return
        first: Exception | None = None
        for own in sample:
            error = _error_of(scorer, *own)
            if error is None:
                return
            first = first or error
        assert first is not None
        if task.keywords["error_score"] == "raise":
            first.add_note(task.described())
            raise first
        name = repr(self.scoring if isinstance(self.scoring, str) else scorer)
        said = f"{type(first).__name__}: {str(first).rstrip('.')}"
        raise ValueError(
            f"The scorer {name} fails on the test rows of all {len(sample)} splits, so nothing was trained: "
            f"{said}. Choose a scoring for this kind of estimator and of y; "
            "sklearn.metrics.make_scorer hands a metric arguments such as pos_label, average or labels"
        ) from first


def _check_rows(tasks: Sequence[Task], errors: Mapping[tuple[int, int], Exception]) -> None:
    refused = [task for task in tasks if str(errors.get(task.place, "")).startswith(_NOT_FINITE)]
    if {task.candidate for task in refused} == {task.candidate for task in tasks}:
        error = errors[refused[0].place]
        error.add_note(refused[0].described())
        raise error


def _warn_of_validation(sample: Sample) -> None:
    """Once, of rows to validate on from outside that are not like those of the first fit."""
    for _, fitting in sample[:1]:
        if fitting.validation is not None and fitting.validation.at is None:
            warn_of_unlike_rows(fitting.rows.X, fitting.validation.X)


def _error_of(scorer: Any, task: Task, fitting: Fitting) -> Exception | None:
    """What a scorer raises for the test rows, if the network's outputs are targets that it is to learn.

    None also where the fit or its predictions fail, as others' may not.
    """

    def outputs(X: np.ndarray) -> np.ndarray:
        targets = fitting.state.target_encoder.outputs(fitting.rows.y)
        return targets[np.linspace(0, len(targets) - 1, len(X)).astype(int)]

    estimator, drawn = task.candidates_estimator(), np.random.get_state()
    known = Resumed(fitting.state, replace(fitting.arguments, callbacks=[]), {"loss": [0.0]}, outputs)
    with without_warnings(), resuming(known):  # of predictions that nobody sees
        try:
            task.fit(estimator)
            task.score(estimator, _predictions)
        except Exception:
            return None
        finally:
            np.random.set_state(drawn)
        try:
            task.score(estimator, scorer)
        except Exception as error:
            return error
    return None


def _predictions(estimator: Any, X: Any, *_: Any, **__: Any) -> Any:
    return estimator.predict(X)
