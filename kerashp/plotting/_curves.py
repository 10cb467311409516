"""Learning curves as a table that a display draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from sklearn.utils.validation import check_is_fitted

from kerashp._arguments import Arguments, is_sequence, spelled
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost
from kerashp.plotting._candidates import candidates_of, results_of


@dataclass(frozen=True)
class Curve:
    """One curve of one training.

    Attributes
    ----------
    values : ndarray of shape (n_epochs,)
        Up to the last epoch before one that is not finite.
    candidate, split : int
    validation : bool
        Whether it is of rows that were not trained on.
    end : {"ran", "stopped", "diverged"}
        To the last epoch asked for, as far as is known; stopped before, as early stopping does; or into a
        value not finite.
    best_epoch : int or None
        The position of the best epoch, where it is known.
    """

    values: np.ndarray
    candidate: int = 0
    split: int = 0
    validation: bool = False
    end: str = "ran"
    best_epoch: int | None = None


def curves_of_search(caller: str, search: Any, name: str, metric: str | None) -> tuple[list[Curve], int]:
    """The curves of all candidates and splits, and which candidate is the best."""
    results = results_of(caller, search)
    histories = getattr(search, "histories_", None)
    if histories is None:
        raise ValueError(
            f"{caller}: this {type(search).__name__} has no histories_, the curves of its fits; search with "
            "kerashp.model_selection, or draw best_estimator_ by from_estimator"
        )
    trained = [
        (candidate, split, history)
        for candidate, own in enumerate(histories)
        for split, history in enumerate(own)
        if history is not None
    ]
    curves = [
        curve
        for candidate, split, history in trained
        for curve in curves_in(
            caller,
            history,
            name,
            stopped=bool(_of_fit(results, candidate, split, "stopped_early")),
            best_epoch=_of_fit(results, candidate, split, "best_epoch"),
            candidate=candidate,
            split=split,
        )
    ]
    if not curves:
        raise ValueError(
            f"{caller}: no fit of the search has curves; none of its candidates is kerashp's, or all failed"
        )
    return curves, best_index(caller, search, metric)


def best_index(caller: str, search: Any, metric: str | None) -> int:
    """The position of the best candidate, as `candidates_of` has it; -1 if all failed.

    Of several scores that a function weighed, without `metric`, it is that function's choice.
    """
    if metric is None and callable(getattr(search, "refit", None)) and getattr(search, "multimetric_", False):
        return int(search.best_index_)
    best = candidates_of(caller, search, metric).best
    return -1 if best is None else best


def _of_fit(results: Mapping[str, Any], candidate: int, split: int, name: str) -> int | None:
    """What the results say of one fit; None where they do not."""
    column = results.get(f"split{split}_{name}")
    return None if column is None or column[candidate] is np.ma.masked else int(column[candidate])


def curves_of_estimator(caller: str, estimator: Any, name: str) -> list[Curve]:
    """The curves of a fitted estimator of kerashp, alone or in pipelines."""
    own = innermost(estimator)
    if not isinstance(own, BaseKerasEstimator):
        expected = "a fitted estimator of kerashp, alone, in a pipeline or a TransformedTargetRegressor"
        raise Arguments(caller).wrong_type("estimator", expected, estimator)
    check_is_fitted(own)
    return curves_in(caller, own.history_, name, stopped=own.stopped_early_, best_epoch=int(own.best_epoch_))


def curves_of_history(caller: str, history: Any, name: str) -> list[Curve]:
    """The curves in a keras History or a dict."""
    curves = history.history if isinstance(history, keras.callbacks.History) else history
    if not isinstance(curves, Mapping):
        raise Arguments(caller).wrong_type(
            "history", "a keras History, or a dict of one list by name", history
        )
    return curves_in(caller, curves, name, stopped=_stopped(history))


def _stopped(history: Any) -> bool:
    """Whether a History's training ended before its epochs; a dict does not say."""
    asked = (getattr(history, "params", None) or {}).get("epochs")
    return asked is not None and bool(history.epoch) and history.epoch[-1] + 1 < asked


def curves_in(
    caller: str,
    history: Mapping[str, Any],
    name: str,
    *,
    stopped: bool = False,
    best_epoch: int | None = None,
    candidate: int = 0,
    split: int = 0,
) -> list[Curve]:
    """A history's curves of that name, of the training and the validation rows."""
    if name not in history:
        known = [known for known in history if not known.startswith("val_")]
        raise ValueError(f"{caller}: curve must be one of {spelled(known) or 'none'}; got {name!r}")
    found = []
    for own in (name, f"val_{name}"):
        if own in history:
            values, finite = _finite(caller, own, history[own])
            end = "diverged" if not finite else "stopped" if stopped else "ran"
            found.append(Curve(values, candidate, split, own != name, end, best_epoch))
    return found


def _finite(caller: str, name: str, values: Any) -> tuple[np.ndarray, bool]:
    """The values before the first that is not finite, and whether that was all."""
    expected = "one number for each epoch"
    if not (is_sequence(values) or hasattr(values, "__array__")):
        raise Arguments(caller).wrong_type(f"the curve {name!r}", expected, values)
    try:
        curve = np.array([float(value) for value in values])
    except (TypeError, ValueError) as error:
        raise Arguments(caller).wrong_value(f"the curve {name!r}", expected, values) from error
    wrong = np.flatnonzero(~np.isfinite(curve))
    return (curve[: wrong[0]], False) if wrong.size else (curve, True)
