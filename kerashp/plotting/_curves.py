"""Learning curves as a table for a display."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from sklearn.utils.validation import check_is_fitted

from kerashp._arguments import Arguments, is_sequence, quoted
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost
from kerashp.plotting._candidates import candidates_of, cv_results_of


@dataclass(frozen=True)
class Curve:
    """A learning curve of a training.

    Attributes
    ----------
    values : ndarray of shape (n_epochs,)
        The values up to the first that is not finite.
    candidate, split : int
        The candidate and the split of the training.
    validation : bool
        Whether the curve is of validation rows.
    end : {"ran", "stopped", "diverged"}
        "ran" to the last epoch as far as is known, "stopped" before it, as by early stopping, or "diverged"
        to a value that is not finite.
    best_epoch : int or None
        The index of the best epoch if it is known.
    """

    values: np.ndarray
    candidate: int = 0
    split: int = 0
    validation: bool = False
    end: str = "ran"
    best_epoch: int | None = None


def curves_of_search(caller: str, search: Any, name: str, metric: str | None) -> tuple[list[Curve], int]:
    """The curves of all candidates and splits, and the index of the best candidate."""
    results = cv_results_of(caller, search)
    histories = getattr(search, "histories_", None)
    if histories is None:
        raise ValueError(
            f"{caller}: this {type(search).__name__} has no histories_, the curves of its fits; use a search "
            "of kerashp.model_selection, or draw best_estimator_ by from_estimator"
        )
    fits = [
        (candidate, split, history)
        for candidate, by_split in enumerate(histories)
        for split, history in enumerate(by_split)
        if history is not None
    ]
    curves = [
        curve
        for candidate, split, history in fits
        for curve in curves_in(
            caller,
            history,
            name,
            stopped=bool(_fit_result(results, candidate, split, "stopped_early")),
            best_epoch=_fit_result(results, candidate, split, "best_epoch"),
            candidate=candidate,
            split=split,
        )
    ]
    if not curves:
        raise ValueError(
            f"{caller}: no fit of the search has curves; the candidates are not estimators of kerashp, or "
            "all failed"
        )
    return curves, best_index(caller, search, metric)


def best_index(caller: str, search: Any, metric: str | None) -> int:
    """The index of the best candidate by `candidates_of`; -1 if all failed.

    If `refit` is a function of several scores and `metric` is None, it is the choice of that function.
    """
    if metric is None and callable(getattr(search, "refit", None)) and getattr(search, "multimetric_", False):
        return int(search.best_index_)
    best = candidates_of(caller, search, metric).best
    return -1 if best is None else best


def _fit_result(results: Mapping[str, Any], candidate: int, split: int, name: str) -> int | None:
    """The value of a column of the results for one fit; None if there is none."""
    column = results.get(f"split{split}_{name}")
    return None if column is None or column[candidate] is np.ma.masked else int(column[candidate])


def curves_of_estimator(caller: str, estimator: Any, name: str) -> list[Curve]:
    """The curves of a fitted estimator of kerashp, alone or in pipelines."""
    network = innermost(estimator)
    if not isinstance(network, BaseKerasEstimator):
        expected = "a fitted estimator of kerashp, alone, in a pipeline or a TransformedTargetRegressor"
        raise Arguments(caller).wrong_type("estimator", expected, estimator)
    check_is_fitted(network)
    stopped, best_epoch = network.stopped_early_, int(network.best_epoch_)
    return curves_in(caller, network.history_, name, stopped=stopped, best_epoch=best_epoch)


def curves_of_history(caller: str, history: Any, name: str) -> list[Curve]:
    """The curves of a keras History or a dict."""
    curves = history.history if isinstance(history, keras.callbacks.History) else history
    if not isinstance(curves, Mapping):
        raise Arguments(caller).wrong_type("history", "a keras History, or a dict of lists by name", history)
    return curves_in(caller, curves, name, stopped=_stopped_early(history))


def _stopped_early(history: Any) -> bool:
    """Whether the training of a History ended before its last epoch; False for a dict."""
    epochs = (getattr(history, "params", None) or {}).get("epochs")
    return epochs is not None and bool(history.epoch) and history.epoch[-1] + 1 < epochs


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
    """The curves `name` of a history, of the training and the validation rows."""
    if name not in history:
        names = [log for log in history if not log.startswith("val_")]
        raise ValueError(f"{caller}: curve must be one of {quoted(names) or 'none'}; got {name!r}")
    curves = []
    for log in (name, f"val_{name}"):
        if log in history:
            values, is_finite = _finite_part(caller, log, history[log])
            end = "diverged" if not is_finite else "stopped" if stopped else "ran"
            curves.append(Curve(values, candidate, split, log != name, end, best_epoch))
    return curves


def _finite_part(caller: str, name: str, values: Any) -> tuple[np.ndarray, bool]:
    """The values before the first that is not finite, and whether these are all values."""
    expected = "one number for each epoch"
    if not (is_sequence(values) or hasattr(values, "__array__")):
        raise Arguments(caller).wrong_type(f"the curve {name!r}", expected, values)
    try:
        curve = np.array([float(value) for value in values])
    except (TypeError, ValueError) as error:
        raise Arguments(caller).wrong_value(f"the curve {name!r}", expected, values) from error
    nonfinite = np.flatnonzero(~np.isfinite(curve))
    return (curve[: nonfinite[0]], False) if nonfinite.size else (curve, True)
