"""Where the results of a search are kept, and the states of what trains: here, in memory."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from kerashp.model_selection._fits.heldout_predictions import HeldoutPredictions
from kerashp.model_selection._fits.result import FitId, FitResult
from kerashp.model_selection._fits.task import Resource, Task
from kerashp.model_selection._planning.plan import Plan
from kerashp.training import Paused


class Unwritten:
    """Keeps nothing longer than the search lasts.

    Parameters
    ----------
    keeps_finished : bool
        Whether the states of finished fits are kept, for others to go on from.
    seed : int or None, default=None
        Of the fits whose estimator has none; None lets each draw its own.
    keeps_stopped : bool, default=False
        Whether those of fits that were stopped are, too.
    results : dict, default={}
        Of fits that are finished already.

    Attributes
    ----------
    every : float
        Seconds between two states of a group in training.
    results : dict from (candidate, split) to dict
        Of the fits that are finished.
    """

    every = math.inf
    library: HeldoutPredictions | None = None  # decides of which results predictions are kept

    def __init__(
        self,
        keeps_finished: bool,
        seed: int | None = None,
        keeps_stopped: bool = False,
        results: Mapping[FitId, FitResult] | None = None,
    ):
        self.keeps = keeps_finished or keeps_stopped
        self.keeps_finished = keeps_finished
        self.seed = seed
        self.results: dict[FitId, FitResult] = dict(results or {})
        self._states: dict[FitId, Paused] = {}

    def check(self, tasks: Iterable[Task], resource: Resource | None) -> None:
        """Refuse the tasks of another search."""

    def plan(self, tasks: Iterable[Task]) -> Plan | None:
        """The plan by which these tasks began to train, if they did."""
        return None

    def keep_plan(self, tasks: Iterable[Task], plan: Plan) -> None:
        """Keep it."""

    def keep_result(self, fit: FitId, result: FitResult) -> None:
        """A fit is finished."""
        self.results[fit] = result
        if self.library is not None:
            self.library.add(fit)

    def state(self, fit: FitId) -> Paused | None:
        """How far a fit has come."""
        return self._states.get(fit)

    def keep_states(self, states: Mapping[FitId, Paused]) -> None:
        """Fits in training have come so far."""
        self._states.update(states)

    def forget_states(self, fits: Iterable[FitId]) -> None:
        """Nothing will go on from these."""
        for fit in fits:
            self._states.pop(fit, None)

    def elsewhere(self, fits: Iterable[FitId], on_this_machine: bool) -> Any:
        """What another process keeps these fits in: a store of its own, whose states come back."""
        return Unwritten(self.keeps_finished, self.seed, results=results_of(self.results, fits))

    @property
    def states(self) -> dict[FitId, Paused]:
        """All that are kept here."""
        return self._states


def results_of(results: Mapping[FitId, FitResult], fits: Iterable[FitId]) -> dict[FitId, FitResult]:
    """The results of these fits, where they are there."""
    return {fit: results[fit] for fit in fits if fit in results}
