"""Settings for one block of code, and what they were before: random states, float type, dtype policy."""

import random
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import keras
import numpy as np

from kerashp._compat.keras_state import default_dtype_policy, seeded
from kerashp.training._runtime.forks import check_fork
from kerashp.training._runtime.tensorflow_logs import without_log_messages

# The states below belong to the process, not to a thread: fits in several threads take turns.
_LOCK = threading.RLock()


@contextmanager
def isolated(seed: int | None = None, dtype: str | None = None) -> Iterator[None]:
    """Run a block under `seed` and `dtype`, and restore the former states and settings.

    Parameters
    ----------
    seed : int or None, default=None
        Seeds Python's, NumPy's, TensorFlow's and Keras' generators inside the block. None leaves them alone.
    dtype : str or None, default=None
        Keras' float type inside the block, say "float64". None leaves it alone.

    Raises
    ------
    ValueError
        If the backend does not compute in `dtype`.
    RuntimeError
        If this process was forked after its parent had used the backend.

    Examples
    --------
    >>> import random
    >>> before = random.getstate()
    >>> with isolated(seed=0, dtype="float64"):
    ...     keras.config.floatx(), random.random()
    ('float64', 0.8444218515250481)
    >>> keras.config.floatx(), random.getstate() == before
    ('float32', True)
    """
    check_fork()
    with _LOCK, _float_type(dtype), _random_states(seed):
        yield


def without_retracing_warnings() -> AbstractContextManager[None]:
    """Drop TensorFlow's warning that several models in a row were compiled, which is what a search does.

    Returns
    -------
    context manager
        Inside, the warning is dropped.

    Examples
    --------
    >>> from kerashp.training import without_retracing_warnings
    >>> with without_retracing_warnings():
    ...     pass  # several trainings by `Model.fit`
    """
    return without_log_messages("tf.function retracing")


def without_lambda_warnings() -> AbstractContextManager[None]:
    """Drop Keras' warning that an object with a lambda cannot be loaded: kerashp does not load it.

    Enter it before starting threads; see `without_warnings`.
    """
    return without_warnings("The object being serialized includes a `lambda`", UserWarning)


@contextmanager
def without_warnings(message: str = "", category: type[Warning] = Warning) -> Iterator[None]:
    """Drop the warnings that begin with a message, or all.

    Filters belong to the process, and threads that change them at once may leave all warnings ignored for
    good: in another thread than the main one this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message, category)
        yield


@contextmanager
def _float_type(dtype: str | None) -> Iterator[None]:
    if dtype is None:
        yield
        return
    floatx = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        with default_dtype_policy():
            _check_float_type(dtype)
            yield
    finally:
        keras.config.set_floatx(floatx)


def _check_float_type(dtype: str) -> None:
    """Refuse a float type that the backend would silently replace by another."""
    actual = keras.backend.standardize_dtype(keras.ops.zeros((), dtype=dtype).dtype)
    if actual != dtype:
        raise ValueError(
            f"dtype={dtype!r} is not available on this backend: {keras.backend.backend()} computes "
            f"in {actual}. With JAX, set the environment variable JAX_ENABLE_X64=1 before it is imported"
        )


@contextmanager
def _random_states(seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
        return
    python, numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        with seeded(seed), _backend_random_state(seed):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _backend_random_state(seed: int) -> AbstractContextManager[None]:
    if keras.backend.backend() != "tensorflow":
        return nullcontext()
    from kerashp._compat.tensorflow import seeded as tensorflow_seeded

    return tensorflow_seeded(seed)
