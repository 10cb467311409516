"""Jobs spread over the workers of a Dask or a Ray cluster.

joblib's backends for them lose a search when a worker is lost: Dask's waits forever for jobs that its
scheduler has abandoned, Ray's raises an error at the first death. Here Dask and Ray are called directly.
"""

import pickle
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any, NamedTuple

import cloudpickle
import numpy as np
from joblib.parallel import ParallelBackendBase

_ATTEMPTS = 3
_LARGE = 2**16  # bytes


def is_dask(backend: ParallelBackendBase) -> bool:
    """Whether this is joblib's backend for Dask."""
    return _is_of(backend, "joblib._dask", "DaskDistributedBackend")


def is_ray(backend: ParallelBackendBase) -> bool:
    """Whether this is Ray's backend for joblib."""
    return _is_of(backend, "ray.util.joblib.ray_backend", "RayBackend")


def _is_of(backend: ParallelBackendBase, module: str, name: str) -> bool:
    imported = sys.modules.get(module)  # who has such a backend has imported its module
    return imported is not None and isinstance(backend, getattr(imported, name))


def by_dask(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], backend: ParallelBackendBase
) -> Iterator[tuple[int, Any]]:
    """See `spread`. Dask decides how many workers there are, and repeats the jobs of a lost worker."""
    import dask
    from distributed import KilledWorker, as_completed

    client = backend.client
    packed, arrays = _packed(function, jobs)
    # An array is the result of a task, so that the scheduler can create it again if its worker is lost.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
        data = [client.submit(_identity, array, pure=False) for array in arrays]
    futures = {
        client.submit(
            _run_job, pickled, *[data[i] for i in needed], pure=False, **backend.submit_kwargs
        ): index
        for index, (pickled, needed) in enumerate(packed)
    }
    try:
        with backend.retrieval_context():  # a worker that waits here frees its slot
            for future in as_completed(list(futures)):
                try:
                    result = future.result()
                except KilledWorker as error:
                    result = _lost_job(error)
                yield futures.pop(future), result
    finally:
        client.cancel(list(futures))


def by_ray(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], n_jobs: int, backend: ParallelBackendBase
) -> Iterator[tuple[int, Any]]:
    """See `spread`."""
    import ray

    options = {"max_retries": _ATTEMPTS - 1} | (backend.ray_remote_args or {})
    remote = ray.remote(_run_job).options(**options)
    packed, arrays = _packed(function, jobs)
    data = [ray.put(array) for array in arrays]
    waiting = list(reversed(list(enumerate(packed))))
    at_work: dict[Any, int] = {}
    try:
        while waiting or at_work:
            while waiting and len(at_work) < n_jobs:
                index, (pickled, needed) = waiting.pop()
                at_work[remote.remote(pickled, *[data[i] for i in needed])] = index
            (finished,), _ = ray.wait(list(at_work))
            try:
                result = ray.get(finished)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except ray.exceptions.RayError as error:
                result = _lost_job(error)
            yield at_work.pop(finished), result
    finally:
        for unfinished in at_work:
            ray.cancel(unfinished, force=True)


def n_workers_of_ray(backend: ParallelBackendBase, n_jobs: int | None) -> int:
    """How many workers Ray gives, all of them by default; Ray is started if it does not run."""
    import ray

    if not ray.is_initialized():
        ray.init()
    number: int = backend.effective_n_jobs(-1 if n_jobs is None else n_jobs)
    return number


def n_workers_of_a_node(backend: ParallelBackendBase, n_jobs: int) -> int:
    """How many workers at the most share a machine of the cluster, and its memory."""
    if is_dask(backend):
        on_machines: Counter[str] = Counter()
        for address, n_threads in backend.client.ncores().items():
            on_machines[address.rpartition(":")[0]] += n_threads
        return max(on_machines.values(), default=1)
    import ray

    cores = [node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"]]
    return min(n_jobs, int(max(cores)))


def _lost_job(error: Exception) -> RuntimeError:
    return RuntimeError(
        f"the cluster abandoned a group after its workers were killed: {error}. The group may need more "
        "memory than a worker has: set max_memory, or run fewer workers on a machine"
    )


class _Packed(NamedTuple):
    """A job without its large arrays; `needed` are their numbers."""

    pickled: bytes
    needed: list[int]


def _packed(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]
) -> tuple[list[_Packed], list[np.ndarray]]:
    """The jobs, and their large arrays, each of them once however many jobs have it."""
    arrays: dict[int, tuple[int, np.ndarray]] = {}
    packed = []
    for job in jobs:
        pickled = BytesIO()
        pickler = _Pickler(pickled, arrays)
        pickler.dump((function, job))
        packed.append(_Packed(pickled.getvalue(), list(pickler.needed)))
    return packed, [array for _, array in arrays.values()]


class _Pickler(cloudpickle.Pickler):
    """Moves large arrays to `arrays`; `needed` maps the number of each to its position in this job."""

    def __init__(self, file: BytesIO, arrays: dict[int, tuple[int, np.ndarray]]):
        super().__init__(file)
        self._arrays = arrays
        self.needed: dict[int, int] = {}

    def persistent_id(self, value: Any) -> int | None:
        if type(value) is not np.ndarray or value.nbytes < _LARGE or value.dtype.hasobject:
            return None
        number, _ = self._arrays.setdefault(id(value), (len(self._arrays), value))
        return self.needed.setdefault(number, len(self.needed))


class _Unpickler(pickle.Unpickler):
    """Puts the large arrays back."""

    def __init__(self, pickled: bytes, arrays: Sequence[np.ndarray]):
        super().__init__(BytesIO(pickled))
        self._arrays = arrays

    def persistent_load(self, position: int) -> np.ndarray:
        return self._arrays[position]


def _run_job(pickled: bytes, *arrays: np.ndarray) -> Any:
    """The result of a job, in a worker."""
    function, job = _Unpickler(pickled, arrays).load()
    return function(*job)


def _identity(array: np.ndarray) -> np.ndarray:
    return array
