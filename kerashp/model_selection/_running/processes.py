"""Work spread over joblib's workers; a worker that is killed costs no more than what it was doing."""

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor, as_completed
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from joblib import Parallel, cpu_count, delayed, effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend

from kerashp._compat.joblib import ProcessPoolExecutor, is_loky, worker_environment
from kerashp.model_selection._running.clusters import (
    by_dask,
    by_ray,
    is_dask,
    is_ray,
    n_neighbours,
    n_workers_of_ray,
)
from kerashp.training import n_devices

_ATTEMPTS = 3
_OF_TENSORFLOW = "TF_NUM_INTRAOP_THREADS"
_OF_CUDA = "CUDA_VISIBLE_DEVICES"


def workers(n_jobs: int | None) -> tuple[int, Any]:
    """How many workers a search has, and joblib's backend, where they are; None: it runs in this process.

    Parameters
    ----------
    n_jobs : int or None
        1: this process. None: what `joblib.parallel_config` says; if nothing, all workers of a cluster.
    """
    backend, configured = get_active_backend()
    if n_jobs != 1 and is_ray(backend):
        return n_workers_of_ray(backend, configured if n_jobs is None else n_jobs), backend
    number = effective_n_jobs(n_jobs)
    here = number == 1 and (n_jobs == 1 or not is_dask(backend))
    return number, None if here else backend


def neighbours(n_jobs: int, backend: Any) -> int:
    """How many workers at the most share a machine."""
    return n_neighbours(backend, n_jobs) if is_dask(backend) or is_ray(backend) else n_jobs


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
        for itself here. Dask and Ray are asked directly; on other backends (threads) joblib spreads the work.

    A work whose workers have been killed time and again has a `RuntimeError` for its result.
    """
    if is_loky(backend):
        n_jobs = max(1, min(n_jobs, len(works)))
        yield from _by_processes(function, works, n_jobs, _environment(backend, n_jobs))
        return
    if is_dask(backend):
        yield from by_dask(function, works, backend)
        return
    if is_ray(backend):
        yield from by_ray(function, works, n_jobs, backend)
        return
    return_as = "generator_unordered" if backend.supports_return_generator else "list"
    with parallel_config(backend=backend):
        parallel = Parallel(n_jobs=n_jobs, batch_size=1, return_as=return_as)
    yield from parallel(delayed(_numbered)(function, *numbered) for numbered in enumerate(works))


def _by_processes(
    function: Callable[..., Any], works: Sequence[tuple[Any, ...]], n_jobs: int, env: dict[str, str]
) -> Iterator[tuple[int, Any]]:
    envs = [env | _pinned(number) for number in range(n_jobs)]
    workers = [_worker(env) for env in envs]
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
                    workers[number] = _worker(envs[number])
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


def _worker(env: dict[str, str]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(max_workers=1, env=env, initializer=_ends_with, initargs=(os.getpid(),))


def _ends_with(client: int) -> None:
    """Let this process end where the one that it works for has been killed."""

    def watch() -> None:
        while os.getppid() == client:
            time.sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _environment(backend: Any, n_jobs: int) -> dict[str, str]:
    """Of each worker: its share of the cores, or what `inner_max_num_threads` says; joblib's own besides."""
    share = str(backend.inner_max_num_threads or max(1, cpu_count() // n_jobs))
    own = {"LOKY_MAX_CPU_COUNT": share, _OF_TENSORFLOW: os.environ.get(_OF_TENSORFLOW, share)}
    return worker_environment(backend, n_jobs) | own


def _pinned(number: int) -> dict[str, str]:
    """Of a worker: one of several accelerators, in turn."""
    if n_devices() == 1:
        return {}
    visible = os.environ.get(_OF_CUDA)
    names = visible.split(",") if visible else list(map(str, range(n_devices())))
    return {_OF_CUDA: names[number % len(names)]}


def _numbered(function: Callable[..., Any], index: int, work: tuple[Any, ...]) -> tuple[int, Any]:
    return index, function(*work)
