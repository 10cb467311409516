"""What a search finds out before anything trains: rows that no fit takes, and scorers that always fail."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.metrics._scorer import _BaseScorer, _MultimetricScorer
from sklearn.pipeline import Pipeline
from sklearn.utils import assert_all_finite, get_tags

from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._encoders import TargetAdapter
from kerashp.estimators._handover import Resumed, resuming
from kerashp.estimators._validation import warn_of_unlike_rows
from kerashp.model_selection._blocks import Blocks
from kerashp.model_selection._preprocessing import around, innermost
from kerashp.model_selection._ready import Ready
from kerashp.model_selection._task import Task

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

    def run(
        self,
        tasks: Sequence[Task],
        prepared: Mapping[tuple[int, int], Ready | str],
        errors: Mapping[tuple[int, int], Exception],
        blocks: Blocks,
    ) -> None:
        """Raise what is known to end the search.

        Parameters
        ----------
        tasks : list of Task
        prepared : dict from (candidate, split) to Ready or str
        errors : dict from (candidate, split) to Exception
            Of fits that failed while they were prepared.
        blocks : Blocks

        Raises
        ------
        ValueError
            If each candidate is refused some rows that are not finite, and the best is to be refitted to
            all; or if the scorer that decides fails on all splits.
        """
        if self.whole and self.refit:
            _check_rows(tasks, errors)
        _warn_of_validation([fit for fit in prepared.values() if isinstance(fit, Ready)], blocks)
        by_candidate: dict[int, list[Ready | str]] = {}
        for task in tasks:
            by_candidate.setdefault(task.candidate, []).append(prepared[task.place])
        for fits in by_candidate.values():
            ready = [fit for fit in fits if isinstance(fit, Ready)]
            if len(ready) == len(fits):
                self._check_scorer(ready, blocks)
                return

    def _check_scorer(self, fits: Sequence[Ready], blocks: Blocks) -> None:
        """Refuse a scorer that raises on all splits of a candidate, for predictions as good as any.

        One of the user's that looks at more than predictions is not tried, and none where encoders of the
        user's make predictions of the outputs.
        """
        if isinstance(fits[0].state["target_encoder_"], TargetAdapter):
            return
        scorer = fits[0].task.keywords["scorer"]
        if isinstance(scorer, _MultimetricScorer):
            scorer = scorer._scorers.get(self.refit) if isinstance(self.refit, str) else None
        if not isinstance(scorer, _BaseScorer):
            return
        first: Exception | None = None
        for ready in fits:
            error = _error_of(scorer, ready, blocks)
            if error is None:
                return
            first = first or error
        assert first is not None
        if fits[0].task.keywords["error_score"] == "raise":
            first.add_note(fits[0].task.described())
            raise first
        name = repr(self.scoring if isinstance(self.scoring, str) else scorer)
        said = f"{type(first).__name__}: {str(first).rstrip('.')}"
        raise ValueError(
            f"The scorer {name} fails on the test rows of all {len(fits)} splits, so nothing was trained: "
            f"{said}. Choose a scoring for this kind of estimator and of y; "
            "sklearn.metrics.make_scorer hands a metric arguments such as pos_label, average or labels"
        ) from first


def _check_rows(tasks: Sequence[Task], errors: Mapping[tuple[int, int], Exception]) -> None:
    refused = [task for task in tasks if str(errors.get(task.place, "")).startswith(_NOT_FINITE)]
    if {task.candidate for task in refused} == {task.candidate for task in tasks}:
        error = errors[refused[0].place]
        error.add_note(refused[0].described())
        raise error


def _warn_of_validation(fits: Sequence[Ready], blocks: Blocks) -> None:
    """Once, of rows to validate on that are not like those of the first fit that has any from outside."""
    for ready in fits:
        if ready.validation is not None and ready.validation.block != ready.train.block:
            warn_of_unlike_rows(blocks.rows(ready.train)[0], blocks.rows(ready.validation)[0])
            return


def _error_of(scorer: Any, ready: Ready, blocks: Blocks) -> Exception | None:
    """What a scorer raises for the test rows, if the network's outputs are targets that it is to learn."""
    task = ready.task
    targets = ready.state["target_encoder_"].outputs(blocks.rows(ready.train)[1])

    def outputs(X: np.ndarray) -> np.ndarray:
        return targets[np.linspace(0, len(targets) - 1, len(X)).astype(int)]

    estimator, drawn = task.candidates_estimator(), np.random.get_state()
    known = Resumed(ready.state, {**ready.arguments, "callbacks": []}, {"loss": [0.0]}, outputs)
    with warnings.catch_warnings(), resuming(known):
        warnings.simplefilter("ignore")  # of predictions that nobody sees
        try:
            task.fit(estimator)
        except Exception:  # it fails again where scikit-learn sees it
            return None
        finally:
            np.random.set_state(drawn)
        try:
            task.score(estimator, scorer)
        except Exception as error:
            return error
    return None
