"""Candidates x folds: what trains together does, and scikit-learn scores all."""

import os
import random
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import keras

from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._handover import resuming, training_for
from kerashp.model_selection._histories import with_history
from kerashp.model_selection._plan import Alone, Fit, Group, Plan, planned
from kerashp.model_selection._preprocessing import innermost
from kerashp.model_selection._progress import Bar
from kerashp.model_selection._ready import Preparation, Ready
from kerashp.model_selection._scores import checked
from kerashp.model_selection._task import Result, Task
from kerashp.model_selection._together import Together
from kerashp.model_selection._workers import spread
from kerashp.training import FallbackWarning, isolated, measured, n_cores, without_retracing_warnings

_SHARE_OF_MEMORY = 0.5


class Evaluation:
    """Runs tasks.

    Parameters
    ----------
    max_memory : int or None
        Bytes that the groups in training may take; half of the machine's if None.
    verbose : bool
    n_jobs : int
        Workers; 1 is this process.
    backend : joblib backend
        Where the workers are.
    library : Library, default=None
        Has the say about which predictions are kept; all are if None.

    Attributes
    ----------
    plan : Plan
        Of the candidates at hand; None until there is one.
    whole : Plan
        Of all candidates so far; None until there is one.
    seconds : dict from str to float
        Where the time went, over all threads.
    """

    def __init__(self, max_memory: int | None, verbose: bool, n_jobs: int, backend: Any, library: Any = None):
        self.plan: Any = None
        self.whole: Any = None
        self.seconds = dict.fromkeys(("preparing", "compiling", "training", "scoring"), 0.0)
        self._max_memory = max_memory or _memory()
        self._verbose = verbose
        self._n_jobs = n_jobs
        self._backend = backend
        self._library = library
        self._results: dict[tuple[int, int], Result] = {}
        self._n_before = 0  # candidates

    def results(self, tasks: Sequence[Task]) -> list[Result]:
        """scikit-learn's results of the tasks, with the curves of their training."""
        by_place = {task.place: task for task in tasks}
        drawn = random.getstate()  # Keras draws the seeds of templates from it
        try:
            with training_for(None), Bar(self._verbose, sum(map(_n_epochs, tasks))) as bar:
                with self._timed("preparing"):
                    groups, blocks = self._planned(tasks)
                if self._n_jobs > 1:
                    self._elsewhere(by_place, bar)
                else:
                    self._here(groups, blocks, by_place, bar)
        finally:
            random.setstate(drawn)
            self._add_to_whole(tasks)
        return [self._results[task.place] for task in tasks]

    def _add_to_whole(self, tasks: Sequence[Task]) -> None:
        if self.plan is None:
            return
        later = self.plan.after(self._n_before)
        self.whole = later if self.whole is None else self.whole.and_(later)
        self.plan = None
        self._n_before += len({task.candidate for task in tasks})

    def _here(self, groups: list[list[Ready]], blocks: Any, by_place: dict[Fit, Task], bar: Bar) -> None:
        for group, future in _trained(groups, self.plan.groups, blocks, bar):
            with self._timed("scoring"):
                self._end(group, future, bar)
            for ready in group:
                ready.state.clear()  # so that its model can go while others train
        for alone in self.plan.alone:
            task = by_place[alone.fit]
            with self._timed("training"):
                self._keep(task, finished(task), bar)
            bar.advance(_n_epochs(task))

    def _elsewhere(self, by_place: dict[Fit, Task], bar: Bar) -> None:
        """Each group, and each fit that trains alone, is the work of a worker."""
        places = [group.fits for group in self.plan.groups] + [(alone.fit,) for alone in self.plan.alone]
        undone: list[tuple[tuple[Fit, ...], str]] = []
        works = [([by_place[place] for place in fits], self._max_memory // self._n_jobs) for fits in places]
        for index, done in spread(evaluated, works, self._n_jobs, self._backend):
            own = works[index][0]
            if isinstance(done, Exception):
                done = [with_history(task.failed(done)) for task in own], {}, None
            results, seconds, reason = done
            for name, more in seconds.items():
                self.seconds[name] += more
            if reason is not None and index < len(self.plan.groups):
                undone.append((places[index], reason))
            for task, result in zip(own, results, strict=True):
                self._keep(task, result, bar)
                bar.advance(_n_epochs(task))
        for fits, reason in undone:
            self._divide(fits, reason)

    def _planned(self, tasks: Sequence[Task]) -> tuple[list[list[Ready]], Any]:
        preparation = Preparation()
        prepared = list(zip(tasks, preparation.prepared(tasks), strict=True))
        alone = [Alone(task.place, reason) for task, reason in prepared if isinstance(reason, str)]
        fits = [ready for _, ready in prepared if isinstance(ready, Ready)]
        blocks = preparation.blocks
        if not fits:
            self.plan = Plan((), tuple(alone), None)
            return [], blocks
        self.plan, groups = planned(fits, alone, blocks, measured(), self._max_memory // _n_groups())
        return groups, blocks

    def _end(self, group: Sequence[Ready], future: Future[Together], bar: Bar) -> None:
        """Score a group that has trained, or train its fits one by one if it could not."""
        error = future.exception()
        if isinstance(error, Exception):
            fits = tuple(ready.task.place for ready in group)
            self._divide(fits, f"{type(error).__name__}: {error}")
            return
        together = future.result()
        self.seconds["compiling"] += together.compile_seconds
        self.seconds["training"] += together.train_seconds
        for position, ready in enumerate(group):
            self._keep(ready.task, scored(together, position, ready), bar)

    def _divide(self, fits: tuple[Fit, ...], reason: str) -> None:
        """Take a group out of the plan, whose fits are trained one by one."""
        warnings.warn(f"{len(fits)} fits are trained one by one: {reason}", FallbackWarning, stacklevel=2)
        self.plan = replace(
            self.plan,
            groups=tuple(own for own in self.plan.groups if own.fits != fits),
            alone=(*self.plan.alone, *[Alone(fit, reason) for fit in fits]),
        )

    def _keep(self, task: Task, result: Result, bar: Bar) -> None:
        if result["fit_error"] is None:
            bar.scored(result["test_scores"])
        if self._library is not None:
            self._library.add(self._n_before + task.candidate, result)
        self._results[task.place] = result

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - began


def finished(task: Task) -> Result:
    """The result of a task that trains by itself."""
    return checked(with_history(task.run()), task)


def scored(together: Together, position: int, ready: Ready) -> Result:
    """The result of a task that was trained with others."""
    with resuming(together.resumed(position)):
        result = ready.task.run()
    seconds = result["fit_time"] + together.fit_seconds(position)
    return checked(with_history(result | {"fit_time": seconds}), ready.task)


def evaluated(tasks: Sequence[Task], max_memory: int) -> tuple[list[Result], dict[str, float], str | None]:
    """The work of a worker: the results, where the time went, and why the tasks were not trained together."""
    evaluation = Evaluation(max_memory, verbose=False, n_jobs=1, backend=None)
    results = evaluation.results(tasks)
    alone = evaluation.whole.alone
    return results, evaluation.seconds, alone[0].reason if alone else None


def _trained(
    groups: Sequence[Sequence[Ready]], described: Sequence[Group], blocks: Any, bar: Bar
) -> Iterator[tuple[Sequence[Ready], Future[Together]]]:
    """The groups as they are trained, some at a time: so one compiles while another trains."""
    if not groups:
        return
    share = sum(group.seconds for group in described) / n_cores()

    def train(ready: Sequence[Ready], seconds: float) -> Together:
        alone = len(groups) < n_cores() or seconds > share
        return Together(ready, blocks, n_cores() if alone else 1).train(bar.advance)

    pairs = list(zip(groups, described, strict=True))
    usual = (None, keras.config.floatx())
    with without_retracing_warnings(), _threads(bar) as threads:
        futures = {
            threads.submit(train, group, about.seconds): group
            for group, about in pairs
            if group[0].dtype in usual
        }
        for future in as_completed(futures):
            yield futures.pop(future), future
    # Another float type is the whole process's while it lasts: nothing is scored meanwhile.
    for dtype in dict.fromkeys(group[0].dtype for group in groups if group[0].dtype not in usual):
        with isolated(dtype=dtype), without_retracing_warnings(), _threads(bar) as threads:
            own = [pair for pair in pairs if pair[0][0].dtype == dtype]
            ended = [(group, threads.submit(train, group, about.seconds)) for group, about in own]
        yield from ended


@contextmanager
def _threads(bar: Bar) -> Iterator[ThreadPoolExecutor]:
    """Threads with this one's dtype policy, which go no further if something goes wrong."""
    policy = keras.config.dtype_policy()
    threads = ThreadPoolExecutor(_n_groups(), initializer=keras.config.set_dtype_policy, initargs=(policy,))
    try:
        yield threads
    except BaseException:
        bar.stop()
        raise
    finally:
        threads.shutdown(cancel_futures=True)


def _n_groups() -> int:
    """How many groups are at work: one more than there are cores, since only one is traced at a time."""
    return n_cores() + 1


def _n_epochs(task: Task) -> int:
    """How many epochs a fit trains at the most; 1 for what is not ours."""
    estimator = innermost(task.estimator)
    if not isinstance(estimator, BaseKerasEstimator):
        return 1
    searched = [
        value for name, value in task.keywords["parameters"].items() if name.rpartition("__")[2] == "epochs"
    ]
    own: int = (searched or [estimator.epochs])[0]
    return (task.keywords["fit_params"] or {}).get("epochs", own)


def _memory() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(_SHARE_OF_MEMORY * physical)
