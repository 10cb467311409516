"""Candidates that continue where earlier candidates of the same parameters ended."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kerashp.model_selection._fits.result import FitId
from kerashp.model_selection._fits.task import Resource, Task
from kerashp.model_selection._planning.fingerprint import fingerprint
from kerashp.model_selection._storage.protocol import SearchStorage
from kerashp.training import Paused


class Continuation:
    """Gives each task its seed and the state from which it continues.

    Candidates that differ in the resource alone are one line, in the order in which they were proposed. A fit
    continues from the latest state of its line, unless that has trained for longer than the fit will.

    Parameters
    ----------
    storage : SearchStorage
    resource : Resource or None
        None: no candidate continues from another.

    Attributes
    ----------
    n_epochs : dict from (candidate, split) to int
        How many epochs the fits of the last tasks had trained in earlier candidates.
    """

    def __init__(self, storage: SearchStorage, resource: Resource | None):
        self.n_epochs: dict[FitId, int] = {}
        self._storage = storage
        self._resource = resource
        self._lines: dict[Any, list[int]] = {}  # the positions of the candidates of a line

    def continued(self, tasks: Sequence[Task], stacked: set[FitId]) -> list[Task]:
        """The tasks with seeds and states; `stacked` are the fits of earlier candidates that were stacked."""
        self.n_epochs.clear()
        keys = {task.candidate: self._line_key(task) for task in tasks}
        for candidate, key in keys.items():
            self._lines.setdefault(key, []).append(candidate)
        if self._resource is not None and self._resource.narrows:
            self._forget_states(tasks, [self._lines[key] for key in keys.values()])
        return [self._continued(task, self._lines[keys[task.candidate]], stacked) for task in tasks]

    def _forget_states(self, tasks: Sequence[Task], lines: Sequence[Sequence[int]]) -> None:
        """Forget the states of earlier candidates, except those from which the tasks continue."""
        n_before = tasks[0].n_before
        earlier = [[candidate for candidate in line if candidate < n_before] for line in lines]
        latest = {max(line) for line in earlier if line}
        splits = {task.split for task in tasks}
        obsolete = [candidate for candidate in range(n_before) if candidate not in latest]
        self._storage.forget_states([(candidate, split) for candidate in obsolete for split in splits])

    def _continued(self, task: Task, line: Sequence[int], stacked: set[FitId]) -> Task:
        seeded = task if self._storage.seed is None else task.seeded(self._storage.seed, line[0])
        state = self._storage.state(task.fit_id)
        if self._resource is None:
            return replace(seeded, paused=state)
        earlier = self._earlier_state(task, line, self._resource)
        if task.fit_id in self._storage.results:
            self.n_epochs[task.fit_id] = self._earlier_epochs(task, line, self._resource, stacked)
        elif earlier is not None:
            self.n_epochs[task.fit_id] = earlier.n_epochs
        return replace(seeded, paused=state or earlier, horizon=self._resource.most)

    def _earlier_state(self, task: Task, line: Sequence[int], resource: Resource) -> Paused | None:
        """The latest state of the line in earlier calls, unless it has trained for longer."""
        n_epochs = task.keywords["parameters"][resource.name]
        candidates = [candidate for candidate in reversed(line) if candidate < task.n_before]
        states = (self._storage.state((candidate, task.split)) for candidate in candidates)
        return next((state for state in states if state is not None and state.n_epochs <= n_epochs), None)

    def _earlier_epochs(
        self, task: Task, line: Sequence[int], resource: Resource, stacked: set[FitId]
    ) -> int:
        """From how many epochs a fit continued that is finished, and whose earlier state may be forgotten."""
        fits = [(candidate, task.split) for candidate in reversed(line) if candidate < task.n_before]
        for fit in fits[:1] if resource.narrows else fits:
            history = self._storage.results[fit].history if fit in stacked else None
            if history is not None and len(history["loss"]) <= task.keywords["parameters"][resource.name]:
                return len(history["loss"])
        return 0

    def _line_key(self, task: Task) -> Any:
        """A key that is the same for all candidates that differ in their resource alone."""
        if self._resource is None:
            return task.candidate
        parameters = task.keywords["parameters"].items()
        return fingerprint({name: value for name, value in parameters if name != self._resource.name})
