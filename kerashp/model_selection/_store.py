"""Where the results of a search are kept, and the states of what trains: here, in memory."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kerashp.model_selection._library import Library
from kerashp.model_selection._plan import Fit, Plan
from kerashp.model_selection._task import Result, Task
from kerashp.training import Paused


def new_seed() -> int:
    """Of which `np.random.seed` decides."""
    return int(np.random.randint(2**31))


class Unwritten:
    """Keeps nothing longer than the search lasts.

    Parameters
    ----------
    keeps : bool
        Whether the states of fits are kept at all.
    seed : int or None, default=None
        Of the fits whose estimator has none; None lets each draw its own.

    Attributes
    ----------
    every : float
        Seconds between two states of a group in training.
    results : dict from (candidate, split) to dict
        Of the fits that are finished.
    """

    every = math.inf
    library: Library | None = None  # decides of which results predictions are kept

    def __init__(self, keeps: bool, seed: int | None = None):
        self.keeps = keeps
        self.seed = seed
        self.results: dict[Fit, Result] = {}
        self._states: dict[Fit, Paused] = {}

    def check(self, tasks: Iterable[Task]) -> None:
        """Refuse the tasks of another search."""

    def plan(self, tasks: Iterable[Task]) -> Plan | None:
        """The plan by which these tasks began to train, if they did."""
        return None

    def keep_plan(self, tasks: Iterable[Task], plan: Plan) -> None:
        """Keep it."""

    def keep_result(self, fit: Fit, result: Result) -> None:
        """A fit is finished."""
        self.results[fit] = result
        if self.library is not None:
            self.library.add(fit[0], result)

    def state(self, fit: Fit) -> Paused | None:
        """How far a fit has come."""
        return self._states.get(fit)

    def keep_states(self, states: Mapping[Fit, Paused]) -> None:
        """Fits in training have come so far."""
        self._states.update(states)

    def forget_states(self, fits: Iterable[Fit]) -> None:
        """Fits are finished; what is kept of them is there for others that go on from them."""

    def elsewhere(self, on_this_machine: bool) -> Any:
        """What another process is to keep states in: a store of its own, whose states come back."""
        return Unwritten(self.keeps)

    @property
    def states(self) -> dict[Fit, Paused]:
        """All that are kept here."""
        return self._states
