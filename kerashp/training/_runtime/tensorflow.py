"""The operations that the engine needs of a backend, on TensorFlow."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerashp._compat.keras import training_argument
from kerashp._compat.keras_optimizers import (
    VARIABLE_KEY,
    BackendNeutralOptimizer,
    keys_of_weights,
    place_of_ops,
    schedule_free_optimizers,
    stateless_values,
)
from kerashp._compat.tensorflow import (
    add_vector_form_of_bitcast,
    flat_call,
    gpu_memory,
    has_started,
    is_op_determinism_enabled,
    optimization_barrier,
)
from kerashp.training._runtime.memory_maps import check_maps
from kerashp.training._runtime.temporary_values import temporary_values, with_functions
from kerashp.training._runtime.tensorflow_graphs import OBSTACLE_TO_XLA_FILES, SavedGraph
from kerashp.training._runtime.tensorflow_logs import without_log_messages

# Optimizers with other numbers in compiled epochs than in Model.fit, since they need mutable variables:
# ScheduleFreeAdamW takes `momentum.value` for the old value and reads it after the update.
UNMATCHED = schedule_free_optimizers()

_LARGE = 2**22  # bytes
_N_TRACED = 2  # rows, by which a model is traced to see its operations


def float64() -> AbstractContextManager[None]:
    """Inside, the backend computes in float64 where an operation has this type: it always does."""
    return nullcontext()


ANY_ROWS = True  # whether a function of `for_any_rows` serves any number of rows
OBSTACLE_TO_COMPILED = (
    OBSTACLE_TO_XLA_FILES  # why other processes compile again what was compiled, if they do
)
VERSION = tf.__version__
ONLY_XLA = False  # whether XLA compiles everything, and all operations can be mapped


def started() -> bool:
    """Whether TensorFlow has been used in this process, and so has threads."""
    return has_started()


def draws_of_any_shape() -> AbstractContextManager[None]:
    """Inside, random arrays of a new shape need no compiling: none do."""
    return nullcontext()


# Placement.


def devices() -> list[Any]:
    """The accelerators that this process sees."""
    return [device.name for device in tf.config.list_logical_devices("GPU")]


def host() -> Any:
    """The device of what does not train."""
    return "CPU:0"


def on(device: Any) -> AbstractContextManager[None]:
    """Inside, in this thread, arrays are put and functions compiled for this device."""
    return tf.device(device)


def put(array: Any) -> tf.Tensor:
    """The array on the device."""
    if isinstance(array, tf.Tensor):
        return array
    return _put_by_parts(array) if getattr(array, "nbytes", 0) > _LARGE else tf.constant(array)


def _put_by_parts(array: np.ndarray) -> tf.Tensor:
    """The array on the device, without the second copy that `tf.constant` makes meanwhile."""
    n_rows = max(1, _LARGE * len(array) // array.nbytes)
    tensor = tf.raw_ops.Empty(shape=array.shape, dtype=array.dtype)
    for first in range(0, len(array), n_rows):
        part = array[first : first + n_rows]
        tensor = tf.raw_ops.InplaceUpdate(x=tensor, i=np.arange(first, first + len(part)), v=part)
    return tensor


def gather(array: tf.Tensor, rows: np.ndarray) -> tf.Tensor:
    """The rows of an array, outside of any compiled function."""
    return tf.raw_ops.GatherV2(params=array, indices=rows, axis=0)


def put_steps(array: np.ndarray, steps: int) -> tf.Tensor:
    """The array on the device, lengthened to `steps` steps; the rest is undefined."""
    return _lengthened(put(array), steps)


def gather_steps(array: tf.Tensor, rows: np.ndarray, steps: int) -> tf.Tensor:
    """The rows of an array, of which the first axis is steps, lengthened to `steps` steps."""
    return _lengthened(gather(array, rows), steps)


def _lengthened(tensor: tf.Tensor, steps: int) -> tf.Tensor:
    """The tensor as the beginning of a longer one: memory that is not written costs nothing."""
    n_steps, *axes = tensor.shape
    if n_steps == steps:
        return tensor
    longer = tf.raw_ops.Empty(shape=(steps, *axes), dtype=tensor.dtype)
    return tf.raw_ops.InplaceUpdate(x=longer, i=np.arange(n_steps), v=tensor) if n_steps else longer


def fetched(arrays: Any) -> Any:
    """Nested arrays as NumPy arrays."""
    return tf.nest.map_structure(lambda array: None if array is None else array.numpy(), arrays)


def values(variables: Sequence[Any]) -> list[tf.Tensor]:
    """The values of the Keras variables."""
    return [tf.convert_to_tensor(variable.value) for variable in variables]


def assign(variables: Sequence[Any], tensors: Sequence[tf.Tensor]) -> None:
    """Give the Keras variables these values."""
    for variable, tensor in zip(variables, tensors, strict=True):
        variable.value.assign(tensor, read_value=False)


def with_member_axis(array: tf.Tensor) -> tf.Tensor:
    """`array[None]`, for which TensorFlow takes eight times as long."""
    return tf.raw_ops.ExpandDims(input=array, axis=0)


def without_member_axis(array: tf.Tensor) -> tf.Tensor:
    """`array[0]` of a population of one."""
    return tf.raw_ops.Squeeze(input=array, axis=[0])


def device_kind() -> str:
    """The kind of the device that computes: "cpu" or "gpu"."""
    return "gpu" if tf.config.get_visible_devices("GPU") else "cpu"


def device_memory() -> int | None:
    """Bytes of the accelerator's memory; None on a CPU, and where they are not known."""
    return None if device_kind() == "cpu" else gpu_memory()


def distributed(model: Any) -> bool:
    """Whether the model was built for several devices."""
    return model.distribute_strategy.num_replicas_in_sync > 1 or tf.distribute.has_strategy()


# Functions of tensors.


class NumberBase(float):
    """The base class of a traced number: Keras converts floats in another way than other objects.

    As a float it is NaN, which shows where the tensor is not used.
    """

    def __new__(cls, *_: Any) -> "NumberBase":
        return super().__new__(cls, "nan")


def value_and_grad(
    function: Callable[[list], tuple[Any, Any]], weights: list[tf.Tensor]
) -> tuple[tf.Tensor, Any, list[Any]]:
    """`function(weights)`, a loss and other values, and the loss's gradients."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        loss, auxiliary = function(weights)
    gradients = tape.gradient(loss, weights)
    dense = [tf.convert_to_tensor(g) if isinstance(g, tf.IndexedSlices) else g for g in gradients]
    return loss, auxiliary, dense


def repeat(times: Any, body: Callable[..., tuple], start: tuple) -> tuple:
    """`body(i, *carry)` for i below `times`, which may be a tensor."""
    loop = tf.while_loop(
        lambda i, *_: i < times, lambda i, *carry: (i + 1, *body(i, *carry)), (tf.constant(0), *start)
    )
    return loop[1:]


def at(array: tf.Tensor, index: Any) -> tf.Tensor:
    """`array[index]`. With slicing, XLA would compile again for every value that determines the index."""
    return tf.gather(array, index)


def materialized(tensors: list[tf.Tensor]) -> list[tf.Tensor]:
    """The tensors, computed once; otherwise every kernel that reads a batch gathers its rows again."""
    return optimization_barrier(tensors) if tensors else []


def mapped(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function over the first axis of every tensor in the arguments."""
    add_vector_form_of_bitcast()
    with without_log_messages("while_loop"):  # TensorFlow logs that it maps an operation by a loop
        return tf.vectorized_map(lambda packed: function(*packed), arguments)


def compiled(
    function: Callable[..., list], arguments: Sequence[Any], *, xla: bool = True, name: str | None = None
) -> "Executable":
    """The function compiled for arrays like these, by XLA or as a graph; the function itself is not kept."""
    if xla:
        check_maps()
    specs = [tf.TensorSpec(array.shape, array.dtype) for array in map(put, arguments)]
    return _concrete(tf.function(function, jit_compile=xla, autograph=False), specs, name, xla=xla)


def operations(model: Any, x: Any) -> frozenset[str]:
    """The types of the operations by which a model predicts for rows like x; none if tracing fails."""

    def predicted(rows: Any) -> Any:
        with keras.StatelessScope(collect_losses=True):
            return model(rows, **training_argument(model, training=False))

    specs = tf.nest.map_structure(
        lambda leaf: tf.TensorSpec((_N_TRACED, *leaf.shape[1:]), keras.backend.standardize_dtype(leaf.dtype)),
        x,
    )
    try:
        graph = tf.function(predicted, autograph=False).get_concrete_function(specs).graph.as_graph_def()
    except Exception:  # training will raise it again
        return frozenset()
    nodes = [*graph.node, *[node for function in graph.library.function for node in function.node_def]]
    return frozenset(node.op for node in nodes)


def for_any_rows(
    function: Callable[..., list], arguments: Sequence[Any], n_batch: int, *, name: str | None = None
) -> "Executable":
    """The function compiled for arrays like these, the last `n_batch` of them with any number of rows.

    Those have the shape `(n_members, n_rows, ...)`, or `(n_members,)`.
    """
    shapes = [list(np.shape(array)) for array in arguments]
    for shape in shapes[len(shapes) - n_batch :]:
        shape[1:2] = [None] * len(shape[1:2])
    specs = [tf.TensorSpec(shape, put(array).dtype) for shape, array in zip(shapes, arguments, strict=True)]
    return _concrete(tf.function(function, autograph=False), specs, name, xla=False)


def _concrete(function: Any, specs: list[tf.TensorSpec], name: str | None, *, xla: bool) -> "Executable":
    concrete = function.get_concrete_function(*specs)
    if any(tensor.dtype == tf.resource for tensor in concrete.captured_inputs):
        raise NotImplementedError(
            "the model reads variables that it does not track; make them attributes of a layer (for random "
            "numbers, a keras.random.SeedGenerator)"
        )
    if name is None or concrete.captured_inputs:
        return Executable(flat_call(concrete), xla=xla)
    return Executable(SavedGraph.traced(concrete, name, xla=xla), xla=xla)


class Executable:
    """A traced function of arrays.

    Parameters
    ----------
    call : SavedGraph or callable
    xla : bool, default=False
        Whether XLA compiles it at its first call.
    """

    def __init__(self, call: SavedGraph | Callable[..., list[tf.Tensor]], *, xla: bool = False):
        self._call = call
        self._xla = xla

    def __call__(self, *arguments: Any) -> list[tf.Tensor]:
        return self._call(*map(put, arguments))

    def prepare(self, arguments: Sequence[Any]) -> tuple[bool, bytes | None]:
        """Compile the function, if XLA does; see `SavedGraph.prepare`."""
        if isinstance(self._call, SavedGraph):
            return self._call.prepare(list(map(put, arguments)))
        if self._xla:
            self(*arguments)
        return self._xla, None


def loaded(content: bytes, name: str) -> Executable:
    """The function of that name of which `prepare` gave these bytes in another process."""
    check_maps()
    return Executable(SavedGraph.loaded(content, name))


def settings() -> str:
    """The settings of the process that change what is traced or compiled."""
    devices = [device.name for device in tf.config.list_logical_devices()]
    return repr((is_op_determinism_enabled(), devices))


def without_rows(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor with an unknown number of rows while tracing, as in Keras where batches differ in length."""
    return tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=[None, *tensor.shape[1:]])


# Keras' optimizers; see also `_keras/optimizers.py`.


class _Stateless(BackendNeutralOptimizer):
    """Comes between the optimizer's class and TensorFlow's class in the method resolution order."""

    def _backend_apply_gradients(self, grads: Any, trainable_variables: Any) -> None:
        with temporary_values(with_functions(place_of_ops(), cond=_both_branches)):
            super()._backend_apply_gradients(grads, trainable_variables)


def _both_branches(predicate: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> None:
    """`ops.cond` for branches that assign: both run, and variables take the values of the right branch."""
    state = stateless_values()
    initial = dict(state)
    true_fn()
    when_true = dict(state)
    state.update(initial)
    false_fn()
    for variable, value in state.items():
        state[variable] = tf.where(predicate, when_true[variable], value)


@contextmanager
def stateless(optimizer: Any) -> Iterator[None]:
    """Inside, the optimizer updates in `keras.StatelessScope`, which on TensorFlow it otherwise refuses."""
    optimizer_class = type(optimizer)
    keys = keys_of_weights(optimizer)
    optimizer.__class__ = type(optimizer_class.__name__, (optimizer_class, _Stateless), {})
    try:
        with temporary_values((vars(optimizer), VARIABLE_KEY, lambda variable: keys[id(variable)])):
            yield
    finally:
        optimizer.__class__ = optimizer_class
