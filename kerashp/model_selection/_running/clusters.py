"""Work spread over the workers of a Dask or a Ray cluster.

joblib's own backends for them lose a search where a worker is lost: Dask's waits for ever for work that its
scheduler has given up, Ray's raises at the first death. Here Dask and Ray are asked directly.
"""

import pickle
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any, NamedTuple

import cloudpickle
import numpy as np

_ATTEMPTS = 3
_LARGE = 2**16  # bytes


def is_dask(backend: Any) -> bool:
    """Whether this is joblib's backend for Dask."""
    return _is_of(backend, "joblib._dask", "DaskDistributedBackend")


def is_ray(backend: Any) -> bool:
    """Whether this is Ray's backend for joblib."""
    return _is_of(backend, "ray.util.joblib.ray_backend", "RayBackend")


def _is_of(backend: Any, module: str, name: str) -> bool:
    own = sys.modules.get(module)  # nobody has such a backend who has not imported it
    return own is not None and isinstance(backend, getattr(own, name))


def by_dask(
    function: Callable[..., Any], works: Sequence[tuple[Any, ...]], backend: Any
) -> Iterator[tuple[int, Any]]:
    """See `spread`. Dask decides how many workers there are, and has the work of a lost one done anew."""
    import dask
    from distributed import KilledWorker, as_completed

    client = backend.client
    packed, arrays = _packed(function, works)
    # An array is the result of a task, so that the scheduler can make it again where its worker is lost.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
        data = [client.submit(_itself, array, pure=False) for array in arrays]
    futures = {
        client.submit(_done, pickled, *[data[i] for i in needed], pure=False, **backend.submit_kwargs): index
        for index, (pickled, needed) in enumerate(packed)
    }
    try:
        with backend.retrieval_context():  # a worker that waits here leaves its place to others
            for future in as_completed(list(futures)):
                try:
                    result = future.result()
                except KilledWorker as error:
                    result = _lost(error)
                yield futures.pop(future), result
    finally:
        client.cancel(list(futures))


def by_ray(
    function: Callable[..., Any], works: Sequence[tuple[Any, ...]], n_jobs: int, backend: Any
) -> Iterator[tuple[int, Any]]:
    """See `spread`."""
    import ray

    options = {"max_retries": _ATTEMPTS - 1} | (backend.ray_remote_args or {})
    remote = ray.remote(_done).options(**options)
    packed, arrays = _packed(function, works)
    data = [ray.put(array) for array in arrays]
    waiting = list(reversed(list(enumerate(packed))))
    at_work: dict[Any, int] = {}
    try:
        while waiting or at_work:
            while waiting and len(at_work) < n_jobs:
                index, (pickled, needed) = waiting.pop()
                at_work[remote.remote(pickled, *[data[i] for i in needed])] = index
            (ended,), _ = ray.wait(list(at_work))
            try:
                result = ray.get(ended)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except ray.exceptions.RayError as error:
                result = _lost(error)
            yield at_work.pop(ended), result
    finally:
        for left in at_work:
            ray.cancel(left, force=True)


def n_workers_of_ray(backend: Any, n_jobs: int | None) -> int:
    """How many workers Ray has, all if nobody says how many; Ray is started here if it is not there."""
    import ray

    if not ray.is_initialized():
        ray.init()
    number: int = backend.effective_n_jobs(-1 if n_jobs is None else n_jobs)
    return number


def n_neighbours(backend: Any, n_jobs: int) -> int:
    """How many workers at the most share a machine, and its memory."""
    if is_dask(backend):
        on_machines: Counter[str] = Counter()
        for address, n_threads in backend.client.ncores().items():
            on_machines[address.rpartition(":")[0]] += n_threads
        return max(on_machines.values(), default=1)
    import ray

    cores = [node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"]]
    return min(n_jobs, int(max(cores)))


def _lost(error: Exception) -> RuntimeError:
    return RuntimeError(
        f"the cluster gave up a work, since the workers that did it were killed: {error}. It may need more "
        "memory than they have: set max_memory, or have fewer workers on a machine"
    )


class _Packed(NamedTuple):
    """A work without its large arrays; `needed` says which of those it has."""

    pickled: bytes
    needed: list[int]


def _packed(
    function: Callable[..., Any], works: Sequence[tuple[Any, ...]]
) -> tuple[list[_Packed], list[np.ndarray]]:
    """The works, and the large arrays in them, each once however many works have it."""
    arrays: dict[int, tuple[int, np.ndarray]] = {}
    packed = []
    for work in works:
        pickled = BytesIO()
        pickler = _Pickler(pickled, arrays)
        pickler.dump((function, work))
        packed.append(_Packed(pickled.getvalue(), list(pickler.needed)))
    return packed, [array for _, array in arrays.values()]


class _Pickler(cloudpickle.Pickler):
    """Puts large arrays into `arrays`; of each, `needed` has the number there and the place here."""

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
    """Puts the arrays back."""

    def __init__(self, pickled: bytes, arrays: Sequence[np.ndarray]):
        super().__init__(BytesIO(pickled))
        self._arrays = arrays

    def persistent_load(self, place: int) -> np.ndarray:
        return self._arrays[place]


def _done(pickled: bytes, *arrays: np.ndarray) -> Any:
    """The result of a work, at a worker."""
    function, work = _Unpickler(pickled, arrays).load()
    return function(*work)


def _itself(array: np.ndarray) -> np.ndarray:
    return array
