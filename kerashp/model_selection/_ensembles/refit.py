"""Estimators that train on all rows, together where possible."""

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from sklearn.base import clone

from kerashp.estimators._nesting import innermost
from kerashp.estimators._training.convergence import collecting, warn_of_convergence
from kerashp.estimators._training.handover import training_for
from kerashp.estimators._training.pending import make_model
from kerashp.model_selection._fits.deadline import Deadline, Stopped
from kerashp.model_selection._fits.result import FitResult
from kerashp.model_selection._fits.task import Task
from kerashp.model_selection._planning.plan import Group
from kerashp.model_selection._running.evaluation import Evaluation
from kerashp.model_selection._storage.memory import MemoryStorage


@dataclass(frozen=True)
class _RefitTask(Task):
    """A fit on all rows, which is not scored."""

    epochs: int | None = None  # to train, with nothing held out; None: as its parameters say

    def fit(self, estimator: Any) -> None:
        _, X, y = self.arguments
        fixed_epochs = nullcontext() if self.epochs is None else training_for(lambda: self.epochs)
        with fixed_epochs:
            estimator.fit(X, y, **self.keywords["fit_params"])

    def run(self) -> FitResult:
        estimator = self.candidates_estimator()
        unconverged: list[str] = []
        try:
            with collecting(unconverged):
                self.fit(estimator)
        except Exception as error:
            error.add_note(self.described())
            raise
        make_model(innermost(estimator))
        return FitResult(test_scores={}, estimator=estimator, unconverged=tuple(unconverged))

    def described(self) -> str:
        return f"In the member at index {self.candidate}, {self.estimator!r}."


def fitted(
    estimators: Sequence[Any],
    X: Any,
    y: Any,
    fit_params: dict[str, Any],
    epochs: Sequence[int | None],
    earlier: Sequence[Group],
    caller: str,
) -> list[Any]:
    """Clones of the estimators, fitted on all rows.

    Parameters
    ----------
    estimators : list of estimator
    X, y : array-like
    fit_params : dict
    epochs : list of int or None
        How many epochs each of them trains with nothing held out; None: as its parameters say.
    earlier : list of Group
        Groups that trained in this process, whose programs can be used again.
    caller : str
        The class that warnings name.
    """
    n_members = len(estimators)
    tasks = [
        _RefitTask(
            function=_no_function,
            arguments=(clone(estimator), X, y),
            keywords={
                "parameters": {},
                "fit_params": fit_params,
                "candidate_progress": (number, n_members),
                "split_progress": (0, 1),
                "error_score": "raise",
            },
            epochs=n_epochs,
        )
        for number, (estimator, n_epochs) in enumerate(zip(estimators, epochs, strict=True))
    ]
    deadline = Deadline()
    storage = MemoryStorage(keeps_finished=False)
    evaluation = Evaluation(None, False, 1, None, storage, deadline, earlier=earlier)
    with suppress(Stopped):
        results = evaluation.results(tasks)
    if deadline.reason is not None:
        raise KeyboardInterrupt
    warn_of_convergence(caller, [text for result in results for text in result.unconverged], n_members)
    return [result.estimator for result in results]


def _no_function(*_: Any, **__: Any) -> dict[str, Any]:
    """Replaces scikit-learn's function, which would score."""
    raise NotImplementedError
