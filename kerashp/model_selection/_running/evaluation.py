"""Candidates x folds: what trains together does, and scikit-learn scores all."""

import os
import random
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from kerashp._compat.joblib import is_loky
from kerashp.estimators._training.handover import training_for
from kerashp.model_selection._fits.deadline import CTRL_C, TIMEOUT, Deadline, Stopped
from kerashp.model_selection._fits.result import FitId, FitResult
from kerashp.model_selection._fits.task import Resource, Task
from kerashp.model_selection._planning.fingerprint import digest
from kerashp.model_selection._planning.grouping import Means, planned
from kerashp.model_selection._planning.plan import Alone, Group, Plan
from kerashp.model_selection._planning.prepare import FitPreparer, PreparedFit
from kerashp.model_selection._running.local import (
    Divided,
    LocalRunner,
    Seconds,
    n_epochs,
    n_groups_at_work,
    warn_of,
)
from kerashp.model_selection._running.processes import neighbours, spread
from kerashp.model_selection._running.progress import Bar
from kerashp.model_selection._running.trial import Trial
from kerashp.model_selection._running.worker import GroupOutcome, run_group, whole_groups
from kerashp.model_selection._storage.protocol import SearchStorage
from kerashp.training import Paused, measured

_SHARE_OF_MEMORY = 0.5
_LONGEST = 60.0  # seconds of one core that a group trains, roughly, so that some end before others
_PARTS = 8  # of the time that a search has: none of its groups takes longer


class Evaluation:
    """Runs a search's tasks.

    Parameters
    ----------
    max_memory : int or None
        Bytes that the groups in training may take; half of the machine's if None.
    verbose : bool
    n_jobs : int
        Workers.
    backend : joblib backend or None
        Where the workers are; None: this process does it all.
    storage : SearchStorage
        Where results and states are kept.
    limit : Deadline
        When to end before all is done.
    resource : Resource, default=None
        Of two candidates that differ in nothing else, the later one goes on where the earlier one was.
    widths_vary : bool, default=False
        Whether later calls may have candidates of other widths than the first.
    earlier : list of Group, default=()
        Those that trained in another evaluation in this process, whose programs may be of use.
    trial : Trial, default=None
        What the first call tries before anything trains.

    Attributes
    ----------
    plan : Plan
        Of all candidates so far; None until there is one.
    finished : list of bool
        Which candidates are.
    seconds : dict from str to float
        Where the time went, over all threads.
    epochs_saved : int
        How many epochs fits that went on did not train again.
    trained : list of Group
        Those that have trained in this process, whose programs are here.
    """

    def __init__(
        self,
        max_memory: int | None,
        verbose: bool,
        n_jobs: int,
        backend: Any,
        storage: SearchStorage,
        limit: Deadline,
        resource: Resource | None = None,
        widths_vary: bool = False,
        earlier: Sequence[Group] = (),
        trial: Trial | None = None,
    ):
        self.plan: Plan | None = None
        self.finished: list[bool] = []
        self.seconds = Seconds()
        self.epochs_saved = 0
        self.trained: list[Group] = []
        self._max_memory = max_memory or _memory()
        self._verbose = verbose
        self._n_jobs = n_jobs
        self._backend = backend
        self._storage = storage
        self._limit = limit
        self._resource = resource
        self._widths_vary = widths_vary
        self._earlier = earlier
        self._trial = trial
        self._epochs_before: dict[FitId, int] = {}  # of fits that go on
        self._lost_fits: list[FitId] = []
        self._lines: dict[Any, list[int]] = {}  # the positions of candidates that are one and the same

    def results(self, tasks: Sequence[Task]) -> list[FitResult]:
        """scikit-learn's results of the candidates that are finished, with the curves of their training.

        Raises
        ------
        Stopped
            If none is.
        """
        if not tasks:  # scikit-learn says what is wrong
            return []
        self._limit.check()
        tasks = [replace(task, n_before=len(self.finished)) for task in tasks]
        for fit in self._lost_fits:  # on which the next candidates depend
            self._storage.keep_result(fit, self._storage.results[fit])
        self._lost_fits.clear()
        self._storage.check(tasks, self._resource)
        tasks = self._in_line(tasks)
        left = {task.place: task for task in tasks if task.place not in self._storage.results}
        drawn, own = random.getstate(), np.random.get_state()  # Keras draws the seeds of templates
        try:
            with training_for(None), Bar(self._verbose, sum(map(n_epochs, left.values()))) as bar:
                self._run(tasks, left, bar)
        except KeyboardInterrupt:
            self._limit.stop(CTRL_C)
        except Stopped:  # while tasks were prepared
            pass
        finally:
            random.setstate(drawn)
            if self._storage.seed is not None:  # whatever the fits drew, of which some may be done already
                np.random.set_state(own)
        done = dict.fromkeys((task.candidate for task in tasks), True)
        for task in tasks:
            done[task.candidate] &= task.place in self._storage.results
        self.finished += done.values()
        if not all(done.values()) and self._limit.reason is None:  # it was over for the workers
            self._limit.stop(TIMEOUT)
        if not any(done.values()):
            raise Stopped
        return [self._storage.results[task.place] for task in tasks if done[task.candidate]]

    def _run(self, tasks: Sequence[Task], left: dict[FitId, Task], bar: Bar) -> None:
        """Run the tasks that are left, as they were planned when they began, or as is best."""
        plan, tries = self._storage.plan(tasks), self._trial is not None and not self.finished
        preparation = FitPreparer(self._storage.seed, samples=tries)
        prepared: dict[FitId, PreparedFit | str] = {}
        if plan is None or self._backend is None:
            wanted = [task for task in tasks if plan is None or task.place in _beside(left, plan)]
            with self.seconds.spent("preparing"):
                answers = preparation.prepared(wanted, self._limit)
            prepared = dict(zip([task.place for task in wanted], answers, strict=True))
        if plan is None:
            if self._trial is not None and tries:
                self._trial.run(tasks, preparation)
            plan = self._planned(prepared, preparation)
            self._storage.keep_plan(tasks, plan)
        self.plan = before = plan if self.plan is None else self.plan.and_(plan)
        groups = [group for group in plan.groups if left.keys() & set(group.fits)]
        alone = [left[one.fit] for one in plan.alone if one.fit in left]
        if self._backend is None:
            own = [(group, [prepared[fit] for fit in group.fits]) for group in groups]
            whole, divided = whole_groups(own)
            alone += [left[fit] for group, _ in divided for fit in group.fits if fit in left]
            here = LocalRunner(self._storage, self._limit, bar, self.seconds)
            divided += here.run(whole, preparation.blocks, alone)
            self.trained += here.trained
        else:
            divided = self._elsewhere(groups, alone, {task.place: task for task in tasks}, bar)
        together = plan.divided(divided)
        warn_of(divided, together.groups)
        self.plan = before.divided(divided)
        stacked = {fit for group in together.groups for fit in group.fits}
        self.epochs_saved += sum(epochs for fit, epochs in self._epochs_before.items() if fit in stacked)
        self._epochs_before.clear()

    def _planned(self, prepared: dict[FitId, PreparedFit | str], preparation: FitPreparer) -> Plan:
        alone = [Alone(place, reason) for place, reason in prepared.items() if isinstance(reason, str)]
        fits = [ready for ready in prepared.values() if isinstance(ready, PreparedFit)]
        if not fits:
            return Plan((), tuple(alone), None)
        here = self._backend is None
        deadline = self._limit.deadline
        # Whether or not it is hurried: it may go on without a timeout.
        at_work = n_groups_at_work(False) if here else neighbours(self._n_jobs, self._backend)
        longest = _LONGEST if deadline is None else max(1.0, (deadline - time.time()) / _PARTS)
        means = Means(
            costs=measured(),
            max_memory=self._max_memory // at_work,
            longest=min(longest, _LONGEST),
            earlier=[*self._earlier, *(self.plan.groups if here and self.plan is not None else ())],
            hurried=deadline is not None,
            widths_vary=here and self._widths_vary,
        )
        return planned(fits, alone, preparation.blocks, means)

    def _elsewhere(
        self, groups: Sequence[Group], alone: Sequence[Task], tasks: dict[FitId, Task], bar: Bar
    ) -> Divided:
        """Each group, and each fit that trains alone, is the work of a worker."""
        on_this_machine, deadline = is_loky(self._backend), self._limit.deadline
        about: list[Group | None] = [*groups, *[None] * len(alone)]
        own = [[tasks[fit] for fit in group.fits] for group in groups] + [[task] for task in alone]
        works = [
            (of, group, self._storage.for_worker([task.place for task in of], on_this_machine), deadline)
            for of, group in zip(own, about, strict=True)
        ]
        divided: Divided = []
        with closing(spread(run_group, works, self._n_jobs, self._backend)) as ended:
            for index, done in ended:
                group = about[index]
                if isinstance(done, Exception):
                    self._lost(own[index], done)
                    done = GroupOutcome({}, {}, None, {})
                self.seconds.add(done.seconds)
                if group is not None and done.reason is not None:
                    divided.append((group, done.reason))
                self._keep(own[index], done, bar)
        return divided

    def _keep(self, tasks: Sequence[Task], done: GroupOutcome, bar: Bar) -> None:
        if done.states:
            self._storage.keep_states(done.states)
        for fit, result in done.results.items():
            if fit not in self._storage.results:
                self._storage.keep_result(fit, result)
                bar.finished(result)
        if len(done.results) == len(tasks) and not self._storage.keeps_finished:
            self._storage.forget_states([task.place for task in tasks])
        bar.advance(sum(map(n_epochs, tasks)))

    def _lost(self, tasks: Sequence[Task], error: Exception) -> None:
        """Fits whose workers were killed have failed; if the search ends with them, they are not written."""
        failed = {task.place: task.failed(error) for task in tasks}
        self._storage.results.update(failed)
        self._lost_fits += [task.place for task in tasks]

    def _in_line(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks with their seeds, and from where they go on."""
        keys = {task.candidate: self._key(task) for task in tasks}
        for candidate, key in keys.items():
            self._lines.setdefault(key, []).append(candidate)
        if self._resource is not None and self._resource.narrows:
            self._forget(tasks[0].n_before, [self._lines[key] for key in keys.values()], tasks)
        stacked = {fit for group in (self.plan.groups if self.plan else ()) for fit in group.fits}
        return [self._seeded(task, self._lines[keys[task.candidate]], stacked) for task in tasks]

    def _forget(self, n_before: int, lines: Sequence[Sequence[int]], tasks: Sequence[Task]) -> None:
        """Forget the states of earlier candidates, but for those from which the next ones go on."""
        before = [[candidate for candidate in line if candidate < n_before] for line in lines]
        latest = {max(line) for line in before if line}
        splits = {task.split for task in tasks}
        gone = [candidate for candidate in range(n_before) if candidate not in latest]
        self._storage.forget_states([(candidate, split) for candidate in gone for split in splits])

    def _seeded(self, task: Task, line: Sequence[int], stacked: set[FitId]) -> Task:
        seeded = task if self._storage.seed is None else task.seeded(self._storage.seed, line[0])
        own = self._storage.state(task.place)
        if self._resource is None:
            return replace(seeded, paused=own)
        before = self._before(task, line, self._resource)
        if task.place in self._storage.results:
            self._epochs_before[task.place] = self._epochs_then(task, line, self._resource, stacked)
        elif before is not None:
            self._epochs_before[task.place] = before.n_epochs
        return replace(seeded, paused=own or before, horizon=self._resource.most)

    def _before(self, task: Task, line: Sequence[int], resource: Resource) -> Paused | None:
        """The latest state of the same fit in earlier calls, unless it trained for longer then."""
        most = task.keywords["parameters"][resource.name]
        earlier = [candidate for candidate in reversed(line) if candidate < task.n_before]
        states = (self._storage.state((candidate, task.split)) for candidate in earlier)
        return next((state for state in states if state is not None and state.n_epochs <= most), None)

    def _epochs_then(self, task: Task, line: Sequence[int], resource: Resource, stacked: set[FitId]) -> int:
        """For how long the same fit, which is finished now, had been trained with others before.

        Its state then may be forgotten.
        """
        fits = [(candidate, task.split) for candidate in reversed(line) if candidate < task.n_before]
        for fit in fits[:1] if resource.narrows else fits:
            curves = self._storage.results[fit].history if fit in stacked else None
            if curves is not None and len(curves["loss"]) <= task.keywords["parameters"][resource.name]:
                return len(curves["loss"])
        return 0

    def _key(self, task: Task) -> Any:
        """Of a candidate: the same for all that differ in their resource alone."""
        if self._resource is None:
            return task.candidate
        parameters = task.keywords["parameters"].items()
        return digest({name: value for name, value in parameters if name != self._resource.name})


def _beside(left: dict[FitId, Task], plan: Plan) -> set[FitId]:
    """The fits that are left, and those that trained in one group with them."""
    groups = [set(group.fits) for group in plan.groups]
    return left.keys() | {fit for fits in groups if fits & left.keys() for fit in fits}


def _memory() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(_SHARE_OF_MEMORY * physical)
