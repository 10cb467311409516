"""The interfaces of what keeps the results and states of a search."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from kerashp.model_selection._fits.result import FitId, FitResult
from kerashp.model_selection._fits.task import Resource, Task
from kerashp.model_selection._planning.plan import Plan
from kerashp.training import Paused


class Storage(Protocol):
    """Keeps the results of finished fits, and how far fits in training have come."""

    @property
    def seed(self) -> int | None:
        """The seed of fits whose estimator has none; None lets each draw its own."""

    @property
    def every(self) -> float:
        """Seconds between two states of a group in training."""

    @property
    def keeps_states(self) -> bool:
        """Whether the states of fits in training are worth keeping."""

    @property
    def keeps_finished(self) -> bool:
        """Whether the states of finished fits are kept, for other fits to continue from."""

    @property
    def results(self) -> dict[FitId, FitResult]:
        """The results of finished fits."""

    @property
    def states(self) -> Mapping[FitId, Paused]:
        """The states that are in this process' memory alone; a worker sends them to its search."""

    def keep_result(self, fit: FitId, result: FitResult) -> None:
        """Keep the result of a fit that is finished."""

    def state(self, fit: FitId) -> Paused | None:
        """Where the training of a fit was paused, if it was."""

    def keep_states(self, states: Mapping[FitId, Paused]) -> None:
        """Keep how far fits in training have come, in place of earlier states."""

    def forget_states(self, fits: Iterable[FitId]) -> None:
        """Remove the states from which nothing will continue."""


class SearchStorage(Storage, Protocol):
    """The storage of a whole search, in the process that runs it."""

    @property
    def search_id(self) -> str:
        """32 hexadecimal digits that no other search has, except one that continues this one."""

    def call_after_results(self, listener: Callable[[FitId], None]) -> None:
        """Call a function of the fit after each result that is kept."""

    def check(self, tasks: Sequence[Task], resource: Resource | None) -> None:
        """Refuse the tasks of another search than the one whose results are here."""

    def plan(self, tasks: Sequence[Task]) -> Plan | None:
        """The plan by which these tasks began to train, if they did."""

    def keep_plan(self, tasks: Sequence[Task], plan: Plan) -> None:
        """Keep the plan of these tasks."""

    def limit_predictions(self, refit: Any) -> None:
        """Keep the predictions of the best candidates only, by the score that `refit` names."""

    def for_worker(self, fits: Iterable[FitId], on_this_machine: bool) -> Storage:
        """The storage of a worker that runs these fits."""
