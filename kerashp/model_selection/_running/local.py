"""Groups of fits that train in this process, and that scikit-learn scores."""

import time
import warnings
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import closing, contextmanager
from dataclasses import replace

import keras

from kerashp.estimators._nesting import innermost
from kerashp.estimators._training.handover import resuming
from kerashp.estimators._training.pending import leave_population
from kerashp.estimators._training.shared_tables import SharedTables, sharing_tables
from kerashp.model_selection._fits.deadline import Deadline, Stopped
from kerashp.model_selection._fits.result import FitResult
from kerashp.model_selection._fits.task import Task
from kerashp.model_selection._planning.data_pool import DataPool
from kerashp.model_selection._planning.plan import Group
from kerashp.model_selection._planning.prepare import PreparedFit
from kerashp.model_selection._planning.preprocessing_cache import remove_cache
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

Divided = list[tuple[Group, str]]  # groups that could not train together, and the reasons


class Seconds(dict[str, float]):
    """Where the time went, over all threads."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(("preparing", "compiling", "training", "scoring"), 0.0))

    def add(self, seconds: dict[str, float]) -> None:
        """Add the seconds of other threads or processes."""
        for name, number in seconds.items():
            self[name] += number

    @contextmanager
    def spent(self, name: str) -> Iterator[None]:
        """Inside, time is counted under this name."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self[name] += time.perf_counter() - began


class LocalRunner:
    """Trains and scores fits, and keeps their results.

    Parameters
    ----------
    storage : Storage
    deadline : Deadline
        When to end, finished or not.
    bar : Bar
    seconds : Seconds
    tables : SharedTables, default=None
        The rows of splits that were prepared.

    Attributes
    ----------
    trained : list of Group
        The groups that have trained.
    """

    def __init__(
        self,
        storage: Storage,
        deadline: Deadline,
        bar: Bar,
        seconds: Seconds,
        tables: SharedTables | None = None,
    ):
        self.trained: list[Group] = []
        self._storage = storage
        self._deadline = deadline
        self._bar = bar
        self._seconds = seconds
        self._tables = SharedTables() if tables is None else tables

    def run(
        self, groups: Sequence[tuple[Group, list[PreparedFit]]], pool: DataPool, alone: Sequence[Task]
    ) -> Divided:
        """Train groups, then separate fits and those of groups that could not train together, one by one."""
        divided: Divided = []
        one_by_one = list(alone)
        with without_lambda_warnings(), closing(self._trained(groups, pool)) as trained:
            for (group, fits), future in trained:
                with self._seconds.spent("scoring"), sharing_tables(self._tables):
                    reason = self._score(fits, future)
                if future.exception() is None:
                    self.trained.append(group)
                if reason is not None:
                    divided.append((group, reason))
                    one_by_one += [task for task in _tasks(fits) if task.fit_id not in self._storage.results]
                for fit in fits:
                    fit.state.release()  # so that its model is released while others train
        for task in one_by_one:
            if self._deadline.reached:
                break
            with self._seconds.spent("training"), without_retracing_warnings():
                self._keep(task, task.run())
            self._bar.advance(task.n_epochs)
        return divided

    def _score(self, fits: Sequence[PreparedFit], future: Future[StackedTraining]) -> str | None:
        """Score a group that has trained; the reason, if it could not train."""
        error = future.exception()
        if isinstance(error, RecordsError):
            raise error
        if isinstance(error, Stopped):
            return None
        if isinstance(error, Exception):
            return f"{type(error).__name__}: {error}"
        training = future.result()
        self._seconds.add({"compiling": training.compile_seconds, "training": training.train_seconds})
        for position, fit in enumerate(fits):
            if fit.task.fit_id not in self._storage.results:
                self._keep(fit.task, scored(training, position, fit))
        if not self._storage.keeps_finished:
            self._storage.forget_states([task.fit_id for task in _tasks(fits)])
        return None

    def _keep(self, task: Task, result: FitResult) -> None:
        if result.estimator is not None:  # it outlives the search's training and its cache
            remove_cache(result.estimator)
            leave_population(innermost(result.estimator))
        self._storage.keep_result(task.fit_id, result)
        self._bar.show_result(result)

    def _trained(
        self, groups: Sequence[tuple[Group, list[PreparedFit]]], pool: DataPool
    ) -> Generator[tuple[tuple[Group, list[PreparedFit]], Future[StackedTraining]]]:
        """The groups as their training ends. Several are at work, so that one compiles while others train."""
        if not groups:
            return

        devices = Devices()

        def train(group: Group, fits: Sequence[PreparedFit]) -> StackedTraining:
            # The first group begins in any case: with a bad estimate, no group might ever begin.
            is_first = group is groups[0][0] and not self._storage.results
            self._deadline.check(0.0 if is_first else group.compile_seconds)
            keep = self._storage.keep_states if self._storage.keeps_states else None
            with devices.least_busy():
                return StackedTraining(fits, pool, group.room).train(self._report, keep, self._storage.every)

        dtypes = {group.fits: fits[0].dtype for group, fits in groups}
        current = (None, keras.config.floatx())
        with without_retracing_warnings(), self._threads() as threads:
            futures = {
                threads.submit(train, *entry): entry for entry in groups if dtypes[entry[0].fits] in current
            }
            for future in as_completed(futures):
                yield futures.pop(future), future
        # Another float type holds for the whole process: nothing is scored meanwhile.
        for dtype in dict.fromkeys(dtype for dtype in dtypes.values() if dtype not in current):
            with isolated(dtype=dtype), without_retracing_warnings(), self._threads() as threads:
                entries = [entry for entry in groups if dtypes[entry[0].fits] == dtype]
                futures_of_type = [(entry, threads.submit(train, *entry)) for entry in entries]
                wait([future for _, future in futures_of_type])
            yield from futures_of_type

    def _report(self, epochs: int) -> None:
        self._deadline.check()
        self._bar.advance(epochs)

    @contextmanager
    def _threads(self) -> Iterator[ThreadPoolExecutor]:
        """Threads with the dtype policy of this one, which stop if there is an error."""
        policy = keras.config.dtype_policy()
        threads = ThreadPoolExecutor(
            n_groups_at_work(self._deadline.end is not None),
            initializer=keras.config.set_dtype_policy,
            initargs=(policy,),
        )
        try:
            yield threads
        except BaseException:
            self._deadline.stop("an error")
            raise
        finally:
            threads.shutdown(cancel_futures=True)


def _tasks(fits: Sequence[PreparedFit]) -> list[Task]:
    return [fit.task for fit in fits]


def warn_of_fallbacks(divided: Divided, groups: Sequence[Group]) -> None:
    """Warn of groups that could not train together, and of those that cannot be stacked; once a reason."""
    n_fits: dict[str, int] = {}
    not_stackable = [
        (group, group.one_by_one) for group in groups if group.one_by_one and not group.stackable
    ]
    for group, reason in [*divided, *not_stackable]:
        n_fits[reason] = n_fits.get(reason, 0) + len(group.fits)
    for reason, number in n_fits.items():
        message = f"{number} fits are trained one by one: {reason}"
        warnings.warn(message, FallbackWarning, stacklevel=2)


def scored(training: StackedTraining, position: int, fit: PreparedFit) -> FitResult:
    """The result of a fit that was trained with others."""
    fit.task.share_test_rows()
    with resuming(training.resumed(position)):
        result = fit.task.run()
    return replace(result, fit_time=result.fit_time + training.fit_seconds(position))


def n_groups_at_work(has_deadline: bool) -> int:
    """How many groups are at work at a time: one more than train, which is traced meanwhile.

    With a deadline there is none more, since it would make the others take longer.
    """
    return n_cores() * n_devices() + (not has_deadline)
