"""Trains groups of fits in this process, and has scikit-learn score them."""

import time
import warnings
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import keras

from kerashp._compat.sklearn import row_count
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost
from kerashp.estimators._training.convergence import AUTO, epochs_of
from kerashp.estimators._training.handover import resuming
from kerashp.model_selection._fits.deadline import Deadline, Stopped
from kerashp.model_selection._fits.heldout_predictions import indices
from kerashp.model_selection._fits.result import FitResult
from kerashp.model_selection._fits.task import Task
from kerashp.model_selection._planning.data_pool import DataPool
from kerashp.model_selection._planning.plan import Group
from kerashp.model_selection._planning.prepare import PreparedFit
from kerashp.model_selection._running.progress import Bar
from kerashp.model_selection._running.stacked import StackedTraining
from kerashp.model_selection._storage.protocol import Storage
from kerashp.model_selection._storage.records import RecordsError
from kerashp.training import (
    Devices,
    FallbackWarning,
    isolated,
    n_cores,
    n_devices,
    without_lambda_warnings,
    without_retracing_warnings,
)

Divided = list[tuple[Group, str]]  # groups that could not train together, and why


class Seconds(dict[str, float]):
    """Where the time went, over all threads."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(("preparing", "compiling", "training", "scoring"), 0.0))

    def add(self, others: dict[str, float]) -> None:
        """What others have taken."""
        for name, more in others.items():
            self[name] += more

    @contextmanager
    def spent(self, name: str) -> Iterator[None]:
        """Inside, time goes there."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self[name] += time.perf_counter() - began


class LocalRunner:
    """Trains fits, and keeps their results.

    Parameters
    ----------
    storage : Storage
    limit : Deadline
        When to end before all is done.
    bar : Bar
    seconds : Seconds

    Attributes
    ----------
    trained : list of Group
        Those that have.
    """

    def __init__(self, storage: Storage, limit: Deadline, bar: Bar, seconds: Seconds):
        self.trained: list[Group] = []
        self._storage = storage
        self._limit = limit
        self._bar = bar
        self._seconds = seconds

    def run(
        self, groups: Sequence[tuple[Group, list[PreparedFit]]], blocks: DataPool, alone: Sequence[Task]
    ) -> Divided:
        """Train groups, then one by one what trains alone and those of groups that could not train."""
        divided: Divided = []
        one_by_one = list(alone)
        with without_lambda_warnings(), closing(self._trained(groups, blocks)) as trained:
            for (group, fits), future in trained:
                with self._seconds.spent("scoring"):
                    reason = self._score(fits, future)
                if future.exception() is None:
                    self.trained.append(group)
                if reason is not None:
                    divided.append((group, reason))
                    one_by_one += [own for own in _tasks(fits) if own.place not in self._storage.results]
                for ready in fits:
                    ready.state.release()  # so that its model can go while others train
        for task in one_by_one:
            if self._limit.reached:
                break
            with self._seconds.spent("training"), without_retracing_warnings():
                self._keep(task, task.run())
            self._bar.advance(n_epochs(task))
        return divided

    def _score(self, fits: Sequence[PreparedFit], future: Future[StackedTraining]) -> str | None:
        """Score a group that has trained; why, if it could not."""
        error = future.exception()
        if isinstance(error, RecordsError):
            raise error
        if isinstance(error, Stopped):
            return None
        if isinstance(error, Exception):
            return f"{type(error).__name__}: {error}"
        together = future.result()
        self._seconds.add({"compiling": together.compile_seconds, "training": together.train_seconds})
        for position, ready in enumerate(fits):
            if ready.task.place not in self._storage.results:
                self._keep(ready.task, scored(together, position, ready))
        if not self._storage.keeps_finished:
            self._storage.forget_states([task.place for task in _tasks(fits)])
        return None

    def _keep(self, task: Task, result: FitResult) -> None:
        self._storage.keep_result(task.place, result)
        self._bar.finished(result)

    def _trained(
        self, groups: Sequence[tuple[Group, list[PreparedFit]]], blocks: DataPool
    ) -> Generator[tuple[tuple[Group, list[PreparedFit]], Future[StackedTraining]]]:
        """The groups as they are trained, some at a time: so one compiles while another trains."""
        if not groups:
            return

        devices = Devices()

        def train(group: Group, fits: Sequence[PreparedFit]) -> StackedTraining:
            # But the first of all: by a bad estimate, nothing might ever begin.
            first = group is groups[0][0] and not self._storage.results
            self._limit.check(0.0 if first else group.compile_seconds)
            keep = self._storage.keep_states if self._storage.keeps_states else None
            with devices.least_busy():
                return StackedTraining(fits, blocks, group.room).train(
                    self._report, keep, self._storage.every
                )

        dtypes = {group.fits: fits[0].dtype for group, fits in groups}
        usual = (None, keras.config.floatx())
        with without_retracing_warnings(), self._threads() as threads:
            futures = {threads.submit(train, *own): own for own in groups if dtypes[own[0].fits] in usual}
            for future in as_completed(futures):
                yield futures.pop(future), future
        # Another float type is the whole process's while it lasts: nothing is scored meanwhile.
        for dtype in dict.fromkeys(dtype for dtype in dtypes.values() if dtype not in usual):
            with isolated(dtype=dtype), without_retracing_warnings(), self._threads() as threads:
                own_type = [own for own in groups if dtypes[own[0].fits] == dtype]
                ended = [(own, threads.submit(train, *own)) for own in own_type]
                wait([future for _, future in ended])
            yield from ended

    def _report(self, epochs: int) -> None:
        self._limit.check()
        self._bar.advance(epochs)

    @contextmanager
    def _threads(self) -> Iterator[ThreadPoolExecutor]:
        """Threads with this one's dtype policy, which go no further if something goes wrong."""
        policy = keras.config.dtype_policy()
        threads = ThreadPoolExecutor(
            n_groups_at_work(self._limit.deadline is not None),
            initializer=keras.config.set_dtype_policy,
            initargs=(policy,),
        )
        try:
            yield threads
        except BaseException:
            self._limit.stop("an error")
            raise
        finally:
            threads.shutdown(cancel_futures=True)


def _tasks(fits: Sequence[PreparedFit]) -> list[Task]:
    return [ready.task for ready in fits]


def warn_of(divided: Divided, groups: Sequence[Group]) -> None:
    """Say what could not train together, and what of these groups cannot be stacked; each cause once."""
    n_fits: dict[str, int] = {}
    apart = [(group, group.one_by_one) for group in groups if group.one_by_one and not group.stackable]
    for group, reason in [*divided, *apart]:
        n_fits[reason] = n_fits.get(reason, 0) + len(group.fits)
    for reason, number in n_fits.items():
        message = f"{number} fits are trained one by one: {reason}"
        warnings.warn(message, FallbackWarning, stacklevel=2)


def scored(together: StackedTraining, position: int, ready: PreparedFit) -> FitResult:
    """The result of a task that was trained with others."""
    with resuming(together.resumed(position)):
        result = ready.task.run()
    return replace(result, fit_time=result.fit_time + together.fit_seconds(position))


def n_groups_at_work(hurried: bool) -> int:
    """One more than train at a time, since only one is traced at a time; but then each takes longer."""
    return n_cores() * n_devices() + (not hurried)


def n_epochs(task: Task) -> int:
    """How many epochs a fit trains at the most; 1 for what is not ours."""
    estimator = innermost(task.estimator)
    if not isinstance(estimator, BaseKerasEstimator):
        return 1
    searched = [
        value for name, value in task.keywords["parameters"].items() if name.rpartition("__")[2] == "epochs"
    ]
    given = {"epochs": (searched or [estimator.epochs])[0], **(task.keywords["fit_params"] or {})}
    before = 0 if task.paused is None else task.paused.n_epochs
    epochs = _of_auto(task, given) if given["epochs"] == AUTO else given["epochs"]
    return max(0, epochs - before)


def _of_auto(task: Task, given: dict[str, Any]) -> int:
    train = task.keywords.get("train")  # a fit that is not scored has none
    n_samples = row_count(task.arguments[1] if train is None else indices(train))
    return epochs_of(innermost(task.candidates_estimator()), n_samples, given)
