"""The operations that the engine needs of a backend, on JAX."""

import hashlib
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import serialize_executable

from kerashp._cache_folder import cache_folder, is_off, processor
from kerashp._compat.jax import (
    CompilationCache,
    backends_are_initialized,
    namespace_of_draws,
    use_compilation_cache,
)
from kerashp._compat.keras_state import types_in_32_bits
from kerashp.training._runtime.temporary_values import temporary_values

UNMATCHED: tuple[type, ...] = ()  # optimizers with other numbers in compiled epochs than in Model.fit


@contextmanager
def float64() -> Iterator[None]:
    """Inside, the backend computes in float64 where an operation has this type."""
    keras_types = (types_in_32_bits(), "float64", "float64")  # Keras would take float32
    with jax.enable_x64(True), temporary_values(keras_types):
        yield


ANY_ROWS = False  # whether a function of `for_any_rows` serves any number of rows
OBSTACLE_TO_COMPILED: str | None = None  # why other processes compile again what was compiled, if they do
VERSION = jax.__version__
ONLY_XLA = True  # whether XLA compiles everything, and all operations can be mapped


def started() -> bool:
    """Whether JAX has been used in this process, and so has threads."""
    return backends_are_initialized()


# Compiled operations: JAX compiles those of Keras' initializers one by one, for each shape.


def _entry_name(key: str) -> str:
    return f"jax_{hashlib.sha256(f'{key} {processor()}'.encode()).hexdigest()[:40]}"


def _read(key: str) -> bytes | None:
    folder = cache_folder()
    return None if folder is None else folder.read(_entry_name(key))


def _write(key: str, content: bytes) -> None:
    folder = cache_folder()
    if folder is not None:
        folder.write(_entry_name(key), content)


if not is_off():
    use_compilation_cache(CompilationCache("kerashp", _read, _write))


_DRAWS = ("normal", "truncated_normal", "uniform")


def draws_of_any_shape() -> AbstractContextManager[None]:
    """Inside, Keras draws random arrays of all shapes by the programs of a few lengths, to the same numbers.

    Each number follows from the key and its place: those of a longer array begin with those of a shorter.
    """
    if not jax.config.jax_threefry_partitionable or jax.config.jax_default_prng_impl != "threefry2x32":
        return nullcontext()
    namespace = namespace_of_draws()
    return temporary_values(*[(namespace, name, _of_any_shape(namespace[name])) for name in _DRAWS])


def _of_any_shape(draw: Callable[..., jax.Array]) -> Callable[..., np.ndarray]:
    def drawn(shape: Sequence[int], *arguments: Any, **options: Any) -> np.ndarray:
        size = int(np.prod(shape))
        rounded_up = 1 << max(0, size - 1).bit_length()
        return np.asarray(draw((rounded_up,), *arguments, **options))[:size].reshape(shape)

    return drawn


# Placement.


def devices() -> list[Any]:
    """The accelerators that this process sees."""
    return [device for device in jax.local_devices() if device.platform != "cpu"]


def host() -> Any:
    """The device of what does not train."""
    return jax.local_devices(backend="cpu")[0]


def on(device: Any) -> AbstractContextManager[None]:
    """Inside, in this thread, arrays are put and functions compiled for this device."""
    return jax.default_device(device)


def put(array: Any) -> jax.Array:
    """The array on the device, without the second copy that `jnp.asarray` makes meanwhile."""
    return jax.device_put(array)


@jax.jit
def gather(array: jax.Array, rows: np.ndarray) -> jax.Array:
    """The rows of an array."""
    return jnp.take(array, rows, axis=0)


def put_steps(array: np.ndarray, steps: int) -> jax.Array:
    """The array on the device, lengthened to `steps` steps; the rest is undefined."""
    return put(_lengthened(array, steps))


def gather_steps(array: jax.Array, rows: np.ndarray, steps: int) -> jax.Array:
    """The rows of an array, of which the first axis is steps, lengthened to `steps` steps."""
    return gather(array, _lengthened(rows, steps))


def _lengthened(array: np.ndarray, steps: int) -> np.ndarray:
    """The array as the beginning of a longer one, since on the device each length needs a compile."""
    if len(array) == steps:
        return array
    filled = np.zeros((steps, *array.shape[1:]), array.dtype)
    filled[: len(array)] = array
    return filled


def fetched(arrays: Any) -> Any:
    """Nested arrays as NumPy arrays, by one transfer."""
    return jax.device_get(arrays)


def values(variables: Sequence[Any]) -> list[jax.Array]:
    """The values of the Keras variables."""
    return [variable.value for variable in variables]


def assign(variables: Sequence[Any], arrays: Sequence[jax.Array]) -> None:
    """Give the Keras variables these values."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def with_member_axis(array: jax.Array) -> jax.Array:
    """`array[None]`."""
    return array[None]


def without_member_axis(array: jax.Array) -> jax.Array:
    """`array[0]` of a population of one."""
    return array[0]


def device_kind() -> str:
    """The kind of the device that computes: "cpu", "gpu" or "tpu"."""
    return str(jax.local_devices()[0].platform)


def device_memory() -> int | None:
    """Bytes of the accelerator's memory; None on a CPU, and where they are not known."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    return statistics.get("bytes_limit")


def distributed(model: Any) -> bool:
    """Whether the model was built for several devices: `keras.distribution` would say so."""
    return False


# Functions of arrays.


class NumberBase:
    """The base class of a traced number: JAX does not convert subclasses of float to arrays."""


def value_and_grad(
    function: Callable[[list], tuple[Any, Any]], weights: list[jax.Array]
) -> tuple[jax.Array, Any, list[jax.Array]]:
    """`function(weights)`, a loss and other values, and the loss's gradients."""
    (loss, auxiliary), gradients = jax.value_and_grad(function, has_aux=True)(weights)
    return loss, auxiliary, gradients


def repeat(times: Any, body: Callable[..., tuple], start: tuple) -> tuple:
    """`body(i, *carry)` for i below `times`, which may be an array."""
    return jax.lax.fori_loop(0, times, lambda i, carry: tuple(body(i, *carry)), tuple(start))


def at(array: jax.Array, index: Any) -> jax.Array:
    """`array[index]`."""
    return array[index]


def materialized(arrays: list[jax.Array]) -> list[jax.Array]:
    """The arrays, computed once."""
    return list(jax.lax.optimization_barrier(arrays))


def mapped(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function over the first axis of every array in the arguments."""
    return jax.vmap(function)(*arguments)


def compiled(
    function: Callable[..., list], arguments: Sequence[Any], *, xla: bool = True, name: str | None = None
) -> "Executable":
    """The function traced for arrays like these; the function itself is not kept."""
    return Executable(lowered=jax.jit(function).lower(*arguments), is_kept=name is not None)


def for_any_rows(
    function: Callable[..., list], arguments: Sequence[Any], n_batch: int, *, name: str | None = None
) -> "Executable":
    """The function traced for arrays like these: JAX compiles for each number of rows."""
    return compiled(function, arguments, name=name)


class Executable:
    """A traced function of arrays, which `prepare` or the first call compiles.

    Parameters
    ----------
    lowered : jax.stages.Lowered or None, default=None
        The function as it was traced.
    loaded : jax.stages.Compiled or None, default=None
        The function as another process has compiled it.
    is_kept : bool, default=False
        Whether other processes are to load it.
    """

    def __init__(self, lowered: Any = None, loaded: Any = None, *, is_kept: bool = False):
        self._lowered = lowered
        self._compiled = loaded
        self._is_kept = is_kept

    def __call__(self, *arguments: Any) -> list[jax.Array]:
        if self._compiled is None:
            self.prepare(arguments)
        results: list[jax.Array] = self._compiled(*arguments)
        return results

    def prepare(self, arguments: Sequence[Any]) -> tuple[bool, bytes | None]:
        """Compile the function if it is not.

        Returns
        -------
        compiled : bool
            Whether it was compiled.
        content : bytes or None
            What another process needs to load the function; None if it has that.
        """
        if self._compiled is not None:
            return False, None
        self._compiled, self._lowered = self._lowered.compile(), None
        return True, _serialized(self._compiled) if self._is_kept else None


def _serialized(compiled: Any) -> bytes | None:
    try:
        return pickle.dumps(serialize_executable.serialize(compiled))
    except (NotImplementedError, ValueError):  # some devices' executables cannot be
        return None


def loaded(content: bytes, name: str) -> Executable:
    """The function of which `prepare` gave these bytes in another process."""
    return Executable(loaded=serialize_executable.deserialize_and_load(*pickle.loads(content)))


def settings() -> str:
    """The settings of the process that change what is traced or compiled."""
    devices = [f"{device} {device.device_kind}" for device in jax.local_devices()]
    names = (
        "jax_enable_x64",
        "jax_default_matmul_precision",
        "jax_default_prng_impl",
        "jax_threefry_partitionable",
    )
    return repr((devices, [(name, getattr(jax.config, name)) for name in names], jax.default_backend()))


def without_rows(array: jax.Array) -> jax.Array:
    """The array: JAX knows the number of rows."""
    return array


def stateless(optimizer: Any) -> AbstractContextManager[None]:
    """Inside, the optimizer updates in `keras.StatelessScope`, which on this backend it always does."""
    return nullcontext()
