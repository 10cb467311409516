"""Jobs spread over joblib's workers; a worker that is killed costs no other worker's job."""

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor, as_completed
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from joblib import Parallel, cpu_count, delayed, effective_n_jobs, parallel_config
from joblib.parallel import ParallelBackendBase, get_active_backend

from kerashp._compat.joblib import ProcessPoolExecutor, is_loky, worker_environment
from kerashp.model_selection._running.clusters import (
    by_dask,
    by_ray,
    is_dask,
    is_ray,
    n_workers_of_a_node,
    n_workers_of_ray,
)
from kerashp.training import n_devices

_ATTEMPTS = 3
_TENSORFLOW_THREADS = "TF_NUM_INTRAOP_THREADS"
_VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"


def workers(n_jobs: int | None) -> tuple[int, ParallelBackendBase | None]:
    """How many workers a search has, and joblib's backend of them; None if it runs in this process.

    Parameters
    ----------
    n_jobs : int or None
        1: this process. None: as in `joblib.parallel_config`, by default all workers of a cluster.
    """
    backend, configured = get_active_backend()
    if n_jobs != 1 and is_ray(backend):
        return n_workers_of_ray(backend, configured if n_jobs is None else n_jobs), backend
    number = effective_n_jobs(n_jobs)
    is_local = number == 1 and (n_jobs == 1 or not is_dask(backend))
    return number, None if is_local else backend


def n_workers_of_a_machine(n_jobs: int, backend: ParallelBackendBase) -> int:
    """How many workers at the most share a machine."""
    return n_workers_of_a_node(backend, n_jobs) if is_dask(backend) or is_ray(backend) else n_jobs


def spread(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], n_jobs: int, backend: ParallelBackendBase
) -> Generator[tuple[int, Any]]:
    """Call the function with the arguments of each job; yield (index, result) in the order in which jobs end.

    Parameters
    ----------
    function : callable
    jobs : list of tuple
    n_jobs : int
    backend : joblib backend
        Loky's executor abandons all jobs when one worker is killed, so each worker gets an executor of its
        own. Dask and Ray are called directly; on other backends (threads) joblib spreads the jobs.

    The result of a job whose workers were killed repeatedly is a `RuntimeError`.
    """
    if is_loky(backend):
        n_jobs = max(1, min(n_jobs, len(jobs)))
        yield from _by_processes(function, jobs, n_jobs, _environment(backend, n_jobs))
        return
    if is_dask(backend):
        yield from by_dask(function, jobs, backend)
        return
    if is_ray(backend):
        yield from by_ray(function, jobs, n_jobs, backend)
        return
    return_as = "generator_unordered" if backend.supports_return_generator else "list"
    with parallel_config(backend=backend):
        parallel = Parallel(n_jobs=n_jobs, batch_size=1, return_as=return_as)
    yield from parallel(delayed(_call_numbered)(function, *numbered) for numbered in enumerate(jobs))


def _by_processes(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], n_jobs: int, env: dict[str, str]
) -> Iterator[tuple[int, Any]]:
    envs = [env | _accelerator_of(number) for number in range(n_jobs)]
    workers = [_worker(env) for env in envs]
    idle: SimpleQueue[int] = SimpleQueue()
    for number in range(n_jobs):
        idle.put(number)
    is_over = Event()

    def run(job: tuple[Any, ...]) -> Any:
        number = idle.get()
        try:
            for _ in range(_ATTEMPTS):
                try:
                    return workers[number].submit(function, *job).result()
                except BrokenExecutor as error:
                    broken = error
                    if is_over.is_set():
                        break
                    workers[number].shutdown(wait=False)
                    workers[number] = _worker(envs[number])
        finally:
            idle.put(number)
        return RuntimeError(
            f"a worker was killed {_ATTEMPTS} times while it ran the same group: {broken}. It may need more "
            "memory than there is: set max_memory, or a smaller n_jobs"
        )

    threads = ThreadPoolExecutor(n_jobs)
    try:
        futures = {threads.submit(run, job): index for index, job in enumerate(jobs)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        is_over.set()
        threads.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.shutdown(kill_workers=True)


def _worker(env: dict[str, str]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(max_workers=1, env=env, initializer=_end_with_client, initargs=(os.getpid(),))


def _end_with_client(client: int) -> None:
    """End this process when the process that it works for has been killed."""

    def watch() -> None:
        while os.getppid() == client:
            time.sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _environment(backend: ParallelBackendBase, n_jobs: int) -> dict[str, str]:
    """The environment of each worker: joblib's, with its share of the cores or `inner_max_num_threads`."""
    share = str(backend.inner_max_num_threads or max(1, cpu_count() // n_jobs))
    threads = {"LOKY_MAX_CPU_COUNT": share, _TENSORFLOW_THREADS: os.environ.get(_TENSORFLOW_THREADS, share)}
    return worker_environment(backend, n_jobs) | threads


def _accelerator_of(number: int) -> dict[str, str]:
    """The environment of a worker that gets one of several accelerators, in turn."""
    if n_devices() == 1:
        return {}
    visible = os.environ.get(_VISIBLE_DEVICES)
    names = visible.split(",") if visible else list(map(str, range(n_devices())))
    return {_VISIBLE_DEVICES: names[number % len(names)]}


def _call_numbered(function: Callable[..., Any], index: int, job: tuple[Any, ...]) -> tuple[int, Any]:
    return index, function(*job)
