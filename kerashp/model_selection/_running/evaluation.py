"""Candidates x folds: what can train together does, and scikit-learn scores all fits."""

import os
import random
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
from joblib.parallel import ParallelBackendBase

from kerashp._compat.joblib import is_loky
from kerashp._memory import machine_memory
from kerashp.estimators._training.handover import training_for
from kerashp.model_selection._fits.deadline import CTRL_C, TIMEOUT, Deadline, Stopped
from kerashp.model_selection._fits.result import FitId, FitResult
from kerashp.model_selection._fits.task import Resource, Task
from kerashp.model_selection._logging.reporter import CandidateReporter
from kerashp.model_selection._planning.grouping import PlanningOptions, planned
from kerashp.model_selection._planning.plan import Alone, Group, Plan
from kerashp.model_selection._planning.prepare import FitPreparer, PreparedFit
from kerashp.model_selection._running.continuation import Continuation
from kerashp.model_selection._running.local import (
    Divided,
    LocalRunner,
    Seconds,
    n_groups_at_work,
    warn_of_fallbacks,
)
from kerashp.model_selection._running.preflight import Preflight
from kerashp.model_selection._running.processes import n_workers_of_a_machine, spread
from kerashp.model_selection._running.progress import Bar
from kerashp.model_selection._running.worker import GroupOutcome, complete_groups, run_group
from kerashp.model_selection._storage.protocol import SearchStorage
from kerashp.training import (
    Preparation,
    device_memory,
    measured,
    n_devices,
    n_uses,
    preparation_so_far,
)

_SHARE_OF_MEMORY = 0.5
_LONGEST = 60.0  # seconds of one core that a group trains, roughly, so that some groups end before others
_PARTS = 8  # of the time until the deadline: no group takes longer than one of them


class Evaluation:
    """Runs the tasks of a search.

    Parameters
    ----------
    max_memory : int or None
        Bytes that the groups in training may take; half of the machine's memory if None.
    verbose : bool
    n_jobs : int
        The number of workers.
    backend : joblib backend or None
        Where the workers are; None: everything runs in this process.
    storage : SearchStorage
        Where results and states are kept.
    deadline : Deadline
        When to end, finished or not.
    resource : Resource, default=None
        Of two candidates that differ in it alone, the later one continues where the earlier one ended.
    widths_vary : bool, default=False
        Whether later calls may have candidates of other widths than the first.
    earlier : list of Group, default=()
        Groups that another evaluation trained in this process, whose programs can be used again.
    preflight : Preflight, default=None
        The checks of the first call before anything trains.
    reporter : CandidateReporter, default=None
        Gets the candidates before they train.

    Attributes
    ----------
    plan : Plan
        The plan of all candidates so far; None until there is one.
    finished : list of bool
        By candidate, whether all its fits are finished.
    seconds : dict from str to float
        Where the time went, over all threads.
    epochs_saved : int
        How many epochs were not trained again by fits that continued.
    trained : list of Group
        The groups that trained in this process, whose programs can be used again.
    """

    def __init__(
        self,
        max_memory: int | None,
        verbose: bool,
        n_jobs: int,
        backend: ParallelBackendBase | None,
        storage: SearchStorage,
        deadline: Deadline,
        resource: Resource | None = None,
        widths_vary: bool = False,
        earlier: Sequence[Group] = (),
        preflight: Preflight | None = None,
        reporter: CandidateReporter | None = None,
    ):
        self.plan: Plan | None = None
        self.finished: list[bool] = []
        self.seconds = Seconds()
        self._prepared_before = preparation_so_far()
        self._prepared_by_workers = Preparation()
        self.epochs_saved = 0
        self.trained: list[Group] = []
        self._max_memory = max_memory or _default_memory()
        self._verbose = verbose
        self._n_jobs = n_jobs
        self._backend = backend
        self._storage = storage
        self._deadline = deadline
        self._resource = resource
        self._widths_vary = widths_vary
        self._earlier = earlier
        self._preflight = preflight
        self._reporter = reporter
        self._continuation = Continuation(storage, resource)
        self._lost: dict[FitId, FitResult] = {}

    @property
    def preparation(self) -> Preparation:
        """What was traced, compiled and loaded since this evaluation began, in all processes."""
        return preparation_so_far() - self._prepared_before + self._prepared_by_workers

    @property
    def lost(self) -> set[int]:
        """The candidates of fits whose workers were killed, which no journal has."""
        return {candidate for candidate, _ in self._lost}

    def results(self, tasks: Sequence[Task]) -> list[FitResult]:
        """The results of the candidates that are finished.

        Raises
        ------
        Stopped
            If no candidate is finished.
        """
        if not tasks:  # scikit-learn raises an error
            return []
        self._deadline.check()
        tasks = [replace(task, n_before=len(self.finished)) for task in tasks]
        for fit, result in self._lost.items():  # on which these candidates depend
            self._storage.keep_result(fit, result)
        self._lost.clear()
        self._storage.check(tasks, self._resource)
        stacked = {fit for group in (self.plan.groups if self.plan else ()) for fit in group.fits}
        tasks = self._continuation.continued(tasks, stacked)
        if self._reporter is not None:
            self._reporter.expect(tasks)
        self._run_pending(tasks)
        self._storage.results.update(self._lost)
        finished = dict.fromkeys((task.candidate for task in tasks), True)
        for task in tasks:
            finished[task.candidate] &= task.fit_id in self._storage.results
        self.finished += finished.values()
        if not all(finished.values()) and self._deadline.reason is None:  # workers have reached it
            self._deadline.stop(TIMEOUT)
        if not any(finished.values()):
            raise Stopped
        return [self._storage.results[task.fit_id] for task in tasks if finished[task.candidate]]

    def _run_pending(self, tasks: Sequence[Task]) -> None:
        """Run the tasks that have no results yet, and leave the random states as they were."""
        pending = {task.fit_id: task for task in tasks if task.fit_id not in self._storage.results}
        n_epochs = sum(task.n_epochs for task in pending.values())
        python_state, numpy_state = random.getstate(), np.random.get_state()  # Keras draws seeds of templates
        try:
            with training_for(None), Bar(self._verbose, n_epochs) as bar:
                self._run(tasks, pending, bar)
        except KeyboardInterrupt:
            self._deadline.stop(CTRL_C)
        except Stopped:  # while tasks were prepared
            pass
        finally:
            random.setstate(python_state)
            if (
                self._storage.seed is not None
            ):  # whatever the fits drew, some of which may be finished already
                np.random.set_state(numpy_state)

    def _run(self, tasks: Sequence[Task], pending: dict[FitId, Task], bar: Bar) -> None:
        """Run the pending tasks by the plan by which they began to train, or by a new one."""
        plan = self._storage.plan(tasks)
        is_first_call = not self.finished
        preparer = FitPreparer(self._storage.seed, samples=is_first_call and self._preflight is not None)
        prepared: dict[FitId, PreparedFit | str] = {}
        if plan is None or self._backend is None:
            needed = [
                task for task in tasks if plan is None or task.fit_id in _with_their_groups(pending, plan)
            ]
            with self.seconds.spent("preparing"):
                answers = preparer.prepared(needed, self._deadline)
            prepared = dict(zip([task.fit_id for task in needed], answers, strict=True))
        if plan is None:
            if is_first_call and self._preflight is not None:
                self._preflight.check(tasks, preparer)
            plan = self._new_plan(prepared, preparer)
            self._storage.keep_plan(tasks, plan)
        if self._reporter is not None:
            self._reporter.begin()
        plan_before = plan if self.plan is None else self.plan.joined(plan)
        self.plan = plan_before
        divided = self._run_plan(
            plan, pending, {task.fit_id: task for task in tasks}, prepared, preparer, bar
        )
        carried_out = plan.divided(divided)
        warn_of_fallbacks(divided, carried_out.groups)
        self.plan = plan_before.divided(divided)
        stacked = {fit for group in carried_out.groups for fit in group.fits}
        self.epochs_saved += sum(n for fit, n in self._continuation.n_epochs.items() if fit in stacked)

    def _run_plan(
        self,
        plan: Plan,
        pending: dict[FitId, Task],
        tasks: dict[FitId, Task],
        prepared: dict[FitId, PreparedFit | str],
        preparer: FitPreparer,
        bar: Bar,
    ) -> Divided:
        """Run the pending tasks of a plan; what could not train together is divided."""
        groups = [group for group in plan.groups if pending.keys() & set(group.fits)]
        alone = [pending[entry.fit] for entry in plan.alone if entry.fit in pending]
        if self._backend is not None:
            return self._run_by_workers(groups, alone, tasks, bar)
        complete, divided = complete_groups(
            [(group, [prepared[fit] for fit in group.fits]) for group in groups]
        )
        alone += [pending[fit] for group, _ in divided for fit in group.fits if fit in pending]
        runner = LocalRunner(self._storage, self._deadline, bar, self.seconds, preparer.tables)
        divided += runner.run(complete, preparer.pool, alone)
        self.trained += runner.trained
        return divided

    def _new_plan(self, prepared: dict[FitId, PreparedFit | str], preparer: FitPreparer) -> Plan:
        alone = [Alone(fit, reason) for fit, reason in prepared.items() if isinstance(reason, str)]
        fits = [fit for fit in prepared.values() if isinstance(fit, PreparedFit)]
        if not fits:
            return Plan((), tuple(alone), None)
        is_local, end = self._backend is None, self._deadline.end
        # Not fewer groups where there is a deadline: the search may continue without one.
        n_at_work = (
            n_groups_at_work(False) if is_local else n_workers_of_a_machine(self._n_jobs, self._backend)
        )
        longest = _LONGEST if end is None else max(1.0, (end - time.time()) / _PARTS)
        options = PlanningOptions(
            costs=measured(),
            max_memory=self._max_memory // n_at_work,
            longest=min(longest, _LONGEST),
            earlier=[*self._earlier, *(self.plan.groups if is_local and self.plan is not None else ())],
            has_deadline=end is not None,
            widths_vary=is_local and self._widths_vary,
            n_uses=n_uses(),
        )
        return planned(fits, alone, preparer.pool, options)

    def _run_by_workers(
        self, groups: Sequence[Group], alone: Sequence[Task], tasks: dict[FitId, Task], bar: Bar
    ) -> Divided:
        """Give each group, and each fit that trains separately, to a worker."""
        on_this_machine = is_loky(self._backend)
        jobs: list[tuple[Group | None, list[Task]]] = [
            *((group, [tasks[fit] for fit in group.fits]) for group in groups),
            *((None, [task]) for task in alone),
        ]
        arguments = [
            (
                of_job,
                group,
                self._storage.for_worker([task.fit_id for task in of_job], on_this_machine),
                self._deadline.end,
            )
            for group, of_job in jobs
        ]
        divided: Divided = []
        with closing(spread(run_group, arguments, self._n_jobs, self._backend)) as outcomes:
            for index, outcome in outcomes:
                group, of_job = jobs[index]
                if isinstance(outcome, Exception):
                    # They have failed, but are not written unless the search continues.
                    self._lost |= {task.fit_id: task.failed(outcome) for task in of_job}
                    outcome = GroupOutcome({}, {}, None, {})
                self.seconds.add(outcome.seconds)
                if outcome.process != os.getpid():
                    self._prepared_by_workers += outcome.preparation
                if group is not None and outcome.reason is not None:
                    divided.append((group, outcome.reason))
                self._keep(of_job, outcome, bar)
        return divided

    def _keep(self, tasks: Sequence[Task], outcome: GroupOutcome, bar: Bar) -> None:
        if outcome.states:
            self._storage.keep_states(outcome.states)
        for fit, result in outcome.results.items():
            if fit not in self._storage.results:
                self._storage.keep_result(fit, result)
                bar.show_result(result)
        if len(outcome.results) == len(tasks) and not self._storage.keeps_finished:
            self._storage.forget_states([task.fit_id for task in tasks])
        bar.advance(sum(task.n_epochs for task in tasks))


def _with_their_groups(pending: dict[FitId, Task], plan: Plan) -> set[FitId]:
    """The pending fits, and the other fits of their groups."""
    groups = [set(group.fits) for group in plan.groups]
    return pending.keys() | {fit for fits in groups if fits & pending.keys() for fit in fits}


def _default_memory() -> int:
    return int(_SHARE_OF_MEMORY * min(machine_memory(), device_memory() * n_devices()))
