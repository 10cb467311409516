"""Private names of joblib: what is asked of its process pool."""

from typing import Any

from joblib.externals.loky import ProcessPoolExecutor
from joblib.parallel import LokyBackend

__all__ = ["ProcessPoolExecutor", "is_loky", "worker_environment"]


def is_loky(backend: Any) -> bool:
    """Whether a backend runs tasks in processes of this machine, as joblib's default does: `LokyBackend`."""
    return isinstance(backend, LokyBackend)


def worker_environment(backend: LokyBackend, n_jobs: int) -> dict[str, str]:
    """The environment variables that joblib sets in each of so many workers: `_prepare_worker_env`."""
    environment: dict[str, str] = backend._prepare_worker_env(n_jobs)
    return environment
