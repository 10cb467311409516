"""The work of a worker: one group, or fits that train separately."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from kerashp.estimators._training.handover import training_for
from kerashp.model_selection._fits.deadline import Deadline, Stopped
from kerashp.model_selection._fits.result import FitId, FitResult
from kerashp.model_selection._fits.task import Task
from kerashp.model_selection._planning.data_pool import DataPool
from kerashp.model_selection._planning.plan import Group
from kerashp.model_selection._planning.prepare import FitPreparer, PreparedFit
from kerashp.model_selection._running.local import Divided, LocalRunner, Seconds
from kerashp.model_selection._running.progress import Bar
from kerashp.model_selection._running.stacked import States
from kerashp.model_selection._storage.protocol import Storage
from kerashp.training import Preparation, n_cores, preparation_so_far


@dataclass(frozen=True)
class GroupOutcome:
    """What a worker sends back: the results of a group, or of fits that train separately."""

    results: dict[FitId, FitResult]
    seconds: dict[str, float]
    reason: str | None  # why the fits did not train together
    states: States
    preparation: Preparation = field(default_factory=Preparation)
    process: int = field(default_factory=os.getpid)


def run_group(
    tasks: Sequence[Task], group: Group | None, storage: Storage, end: float | None
) -> GroupOutcome:
    """Train and score the tasks of a group; if there is none, each task separately."""
    before = preparation_so_far()
    outcome = _outcome(tasks, group, storage, end)
    return replace(outcome, preparation=preparation_so_far() - before)


def _outcome(tasks: Sequence[Task], group: Group | None, storage: Storage, end: float | None) -> GroupOutcome:
    seconds, deadline = Seconds(), Deadline(end)
    tasks = [replace(task, paused=storage.state(task.fit_id) or task.paused) for task in tasks]
    preparer = FitPreparer(storage.seed)
    runner = LocalRunner(storage, deadline, Bar(False, 0), seconds, preparer.tables)
    with training_for(None):
        if group is None:
            runner.run([], DataPool(), tasks)
            return GroupOutcome(storage.results, dict(seconds), None, {})
        try:
            with seconds.spent("preparing"):
                prepared = preparer.prepared(tasks, deadline)
        except Stopped:
            return GroupOutcome({}, dict(seconds), None, {})
        complete, divided = complete_groups([(group.on(n_cores()), prepared)])
        one_by_one = [task for task in tasks if divided and task.fit_id not in storage.results]
        divided += runner.run(complete, preparer.pool, one_by_one)
    reason = divided[0][1] if divided else None
    return GroupOutcome(storage.results, dict(seconds), reason, dict(storage.states))


def complete_groups(
    groups: Sequence[tuple[Group, Sequence[PreparedFit | str]]],
) -> tuple[list[tuple[Group, list[PreparedFit]]], Divided]:
    """The groups that can train, and those, planned in another process, that cannot train in this one."""
    complete: list[tuple[Group, list[PreparedFit]]] = []
    divided: Divided = []
    for group, prepared in groups:
        fits = [fit for fit in prepared if isinstance(fit, PreparedFit)]
        if len(fits) == len(prepared):
            complete.append((group, fits))
        else:
            divided.append((group, next(reason for reason in prepared if isinstance(reason, str))))
    return complete, divided
