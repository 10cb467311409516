"""Results and states of a search in memory."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from kerashp.model_selection._fits.heldout_predictions import HeldoutPredictions
from kerashp.model_selection._fits.result import FitId, FitResult
from kerashp.model_selection._fits.task import Resource, Task
from kerashp.model_selection._planning.plan import Plan
from kerashp.training import Paused


class MemoryStorage:
    """A `SearchStorage` that keeps nothing longer than the search lasts.

    Parameters
    ----------
    keeps_finished : bool
        Whether the states of finished fits are kept, for other fits to continue from.
    seed : int or None, default=None
        The seed of fits whose estimator has none; None lets each draw its own.
    keeps_stopped : bool, default=False
        Whether the states of fits that were stopped are kept, too.
    results : dict from (candidate, split) to FitResult, default={}
        The results of fits that are finished already.
    """

    every = math.inf

    def __init__(
        self,
        keeps_finished: bool,
        seed: int | None = None,
        keeps_stopped: bool = False,
        results: Mapping[FitId, FitResult] | None = None,
    ):
        self.keeps_states = keeps_finished or keeps_stopped
        self.keeps_finished = keeps_finished
        self.seed = seed
        self.results: dict[FitId, FitResult] = dict(results or {})
        self.states: dict[FitId, Paused] = {}
        self.search_id = uuid4().hex
        self._listeners: list[Callable[[FitId], None]] = []

    def check(self, tasks: Sequence[Task], resource: Resource | None) -> None:
        """Accept any tasks: the storage is of no earlier search."""

    def plan(self, tasks: Sequence[Task]) -> Plan | None:
        return None

    def keep_plan(self, tasks: Sequence[Task], plan: Plan) -> None:
        """Keep no plan: no other process continues the search."""

    def limit_predictions(self, refit: Any) -> None:
        self.call_after_results(HeldoutPredictions(refit, self.results).add)

    def call_after_results(self, listener: Callable[[FitId], None]) -> None:
        self._listeners.append(listener)

    def keep_result(self, fit: FitId, result: FitResult) -> None:
        self.results[fit] = result
        for listener in self._listeners:
            listener(fit)

    def state(self, fit: FitId) -> Paused | None:
        return self.states.get(fit)

    def keep_states(self, states: Mapping[FitId, Paused]) -> None:
        self.states.update(states)

    def forget_states(self, fits: Iterable[FitId]) -> None:
        for fit in fits:
            self.states.pop(fit, None)

    def for_worker(self, fits: Iterable[FitId], on_this_machine: bool) -> "MemoryStorage":
        """A storage in the worker's memory, whose results and states come back."""
        return MemoryStorage(self.keeps_finished, self.seed, results=results_of_fits(self.results, fits))


def results_of_fits(results: Mapping[FitId, FitResult], fits: Iterable[FitId]) -> dict[FitId, FitResult]:
    """The results of those of these fits that have one."""
    return {fit: results[fit] for fit in fits if fit in results}
