"""Work spread over joblib's workers; a worker that is killed costs no more than what it was doing."""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor, as_completed
from queue import SimpleQueue
from threading import Event
from typing import Any

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib._parallel_backends import LokyBackend
from joblib.externals.loky import ProcessPoolExecutor

_ATTEMPTS = 3
_OF_TENSORFLOW = "TF_NUM_INTRAOP_THREADS"


def spread(
    function: Callable[..., Any], works: Sequence[tuple[Any, ...]], n_jobs: int, backend: Any
) -> Generator[tuple[int, Any]]:
    """The function of each work's arguments, as (index, result), in the order in which they end.

    Parameters
    ----------
    function : callable
    works : list of tuple
    n_jobs : int
    backend : joblib backend
        Loky's own executor gives up all its work when one worker is killed, so each of its workers gets one
        for itself here; on other backends (Dask's, Ray's, threads) joblib spreads the work.

    A work whose worker has been killed three times has a `RuntimeError` for its result.
    """
    if isinstance(backend, LokyBackend):
        n_jobs = max(1, min(n_jobs, len(works)))
        yield from _by_processes(function, works, n_jobs, _environment(backend, n_jobs))
        return
    with parallel_config(backend=backend):
        results = Parallel(n_jobs=n_jobs, batch_size=1)(delayed(function)(*work) for work in works)
    yield from enumerate(results)


def _by_processes(
    function: Callable[..., Any], works: Sequence[tuple[Any, ...]], n_jobs: int, env: dict[str, str]
) -> Iterator[tuple[int, Any]]:
    workers = [ProcessPoolExecutor(max_workers=1, env=env) for _ in range(n_jobs)]
    idle: SimpleQueue[int] = SimpleQueue()
    for number in range(n_jobs):
        idle.put(number)
    ended = Event()

    def done(work: tuple[Any, ...]) -> Any:
        number = idle.get()
        try:
            for _ in range(_ATTEMPTS):
                try:
                    return workers[number].submit(function, *work).result()
                except BrokenExecutor as error:
                    broken = error
                    if ended.is_set():
                        break
                    workers[number].shutdown(wait=False)
                    workers[number] = ProcessPoolExecutor(max_workers=1, env=env)
        finally:
            idle.put(number)
        return RuntimeError(
            f"a worker was killed {_ATTEMPTS} times at the same work: {broken}. It may need more memory than "
            "there is: set max_memory, or fewer n_jobs"
        )

    threads = ThreadPoolExecutor(n_jobs)
    try:
        futures = {threads.submit(done, work): index for index, work in enumerate(works)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        ended.set()
        threads.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.shutdown(kill_workers=True)


def _environment(backend: LokyBackend, n_jobs: int) -> dict[str, str]:
    """Of each worker: its share of the cores, or what `inner_max_num_threads` says; joblib's own besides."""
    share = str(backend.inner_max_num_threads or max(1, cpu_count() // n_jobs))
    own = {"LOKY_MAX_CPU_COUNT": share, _OF_TENSORFLOW: os.environ.get(_OF_TENSORFLOW, share)}
    env: dict[str, str] = backend._prepare_worker_env(n_jobs)
    return env | own
