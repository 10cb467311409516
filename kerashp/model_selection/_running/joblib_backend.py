"""A joblib backend that receives all tasks of a call before any of them runs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from joblib import parallel_config
from joblib.parallel import ParallelBackendBase

from kerashp.model_selection._fits.task import Task

Run = Callable[[Sequence[Task]], Sequence[Any]]


class BatchBackend(ParallelBackendBase):
    """Passes the tasks of the next `joblib.Parallel` that is created to `run`, and of no other.

    Parameters
    ----------
    run : callable
        Takes the tasks and returns results in the same order; of a stopped search, those of finished tasks.
    """

    supports_sharedmem = True

    def __init__(self, run: Run):
        super().__init__(nesting_level=0)
        self._run = run
        self._batches: list[_Result] = []
        self._config = parallel_config(backend=self)

    def release(self) -> None:
        """Let joblib choose its backend again."""
        if self._config is not None:
            self._config.unregister()
            self._config = None

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        self.release()
        parallel.pre_dispatch = "all"
        return self.effective_n_jobs(n_jobs)

    def effective_n_jobs(self, n_jobs: int) -> int:
        return 2  # with 1, joblib would run the tasks itself

    def submit(self, func: Any, callback: Any = None) -> "_Result":
        self._batches.append(_Result(func, callback))
        return self._batches[-1]

    @contextmanager
    def retrieval_context(self) -> Iterator[None]:
        """Run all tasks: joblib has submitted them when it begins to retrieve results."""
        batches, self._batches = self._batches, []
        outcomes = iter(self._run([Task(*item) for result in batches for item in result.batch.items]))
        for result in batches:
            result.outcomes = list(islice(outcomes, len(result.batch.items)))
            result.callback(result)
        yield


class _Result:
    """The future results of a batch of tasks, for joblib."""

    def __init__(self, batch: Any, callback: Any):
        self.batch = batch
        self.callback = callback
        self.outcomes: list[Any] = []

    def get(self) -> list[Any]:
        return self.outcomes
