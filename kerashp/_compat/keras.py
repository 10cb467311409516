"""Names of Keras' models, layers and callbacks that are private, or that not all versions have."""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import keras
from keras.src.backend.common import masking, tensor_attributes
from keras.src.initializers import random_initializers
from keras.src.models import Functional
from keras.src.regularizers import regularizers
from keras.src.saving.serialization_lib import SafeModeScope
from keras.src.utils import io_utils, naming, python_utils

from kerashp._compat._numbers import numbers

MASKS_ARE_HANDED_ON = "_supports_masking"  # attribute of a layer: False where it refuses a mask of its inputs
WEIGHTS_ARE_AVERAGED = "_ema_weights_in_model"  # of SwapEMAWeights: whether the model has the averages now


def version() -> tuple[int, ...]:
    """Keras' version as numbers: (3, 13, 2)."""
    return numbers(keras.__version__)


@contextmanager
def safe_mode() -> Iterator[None]:
    """Inside, nothing unsafe is loaded: `SafeModeScope`.

    After `keras.config.enable_unsafe_deserialization()`, `safe_mode=True` of `load_model` counts for nothing.
    """
    with SafeModeScope(True):
        yield


def print_message(message: str) -> None:
    """Print as `Model.fit` does, or log where interactive logging is disabled: `io_utils.print_msg`."""
    io_utils.print_msg(message)


def to_snake_case(name: str) -> str:
    """The name that Keras gives to a class's objects, before it numbers them: `naming.to_snake_case`."""
    return str(naming.to_snake_case(name))


def compute_fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """The inputs and outputs of a unit of a kernel, by which initializers scale: `compute_fans`."""
    fan_in, fan_out = random_initializers.compute_fans(shape)
    return fan_in, fan_out


# Layers and the graphs that they make.


def flatten_layers(model: keras.Layer, *, include_self: bool = True) -> list[keras.Layer]:
    """The model or layer itself and all layers inside it, at any depth: `Layer._flatten_layers`."""
    return list(model._flatten_layers(include_self=include_self))


def is_functional(model: Any) -> bool:
    """Whether a model is a graph of layers, made by `keras.Model(inputs, outputs)`: `Functional`."""
    return isinstance(model, Functional)


def layer_family(layer: keras.Layer) -> str | None:
    """The package of `keras.src.layers` that a layer's class is from, such as "core"; None: of no such."""
    parts = type(layer).__module__.split(".")
    return parts[3] if parts[:3] == ["keras", "src", "layers"] and len(parts) > 3 else None


def own_variables(layer: keras.Layer) -> list[keras.Variable]:
    """The weights of a layer that are not of the layers inside it.

    They are `_trainable_variables` and `_non_trainable_variables`.
    """
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def seed_generators(layer: keras.Layer) -> list[keras.random.SeedGenerator]:
    """The seed generators of a layer, not of the layers inside it: `_seed_generators`."""
    return list(layer._seed_generators)


def place_of_ops_of_regularizers() -> tuple[MutableMapping[str, Any], str]:
    """The namespace and the name by which Keras' regularizers look up `keras.ops`."""
    return vars(regularizers), "ops"


def calls_of(model: keras.Model) -> list[Any]:
    """The calls of a Sequential's or functional model's layers as nodes, inputs first; of another model none.

    They are the values of `_nodes_by_depth`, which a Sequential has in its `_functional`.
    """
    graph = model._functional if isinstance(model, keras.Sequential) else model
    by_depth = getattr(graph, "_nodes_by_depth", {})
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def calls_after(operation: keras.Operation) -> list[Any]:
    """The calls, as nodes, that take a layer's or operation's outputs: `_outbound_nodes`."""
    return list(operation._outbound_nodes)


def producer(tensor: keras.KerasTensor) -> keras.Operation:
    """The layer or operation that has a symbolic tensor as its output: `_keras_history`."""
    return tensor._keras_history.operation


def mask_of(tensor: Any) -> Any:
    """The mask that losses and metrics take from a tensor of predictions; None: it has none."""
    return masking.get_keras_mask(tensor)


def set_mask(tensor: Any, mask: Any) -> None:
    """Set what `mask_of` returns: `set_keras_mask`."""
    masking.set_keras_mask(tensor, mask)


def attribute_of(tensor: Any, name: str) -> Any:
    """An attribute that `set_attribute` gave a tensor; None without it: `get_tensor_attr`."""
    return tensor_attributes.get_tensor_attr(tensor, name)


def set_attribute(tensor: Any, name: str, value: Any) -> None:
    """Set what `attribute_of` returns, as Keras sets masks: `set_tensor_attr`."""
    tensor_attributes.set_tensor_attr(tensor, name, value)


# Models.


def training_argument(model: keras.Model, training: bool) -> dict[str, Any]:
    """`training` as an argument of `call`, for a model that takes it: `_call_has_training_arg`."""
    return {"training": training} if model._call_has_training_arg else {}


def assert_compiled(model: keras.Model, method: str) -> None:
    """Raise Keras' ValueError where a model is not compiled: `_assert_compile_called`."""
    model._assert_compile_called(method)


def build_for(model: keras.Model, batch: Any) -> None:
    """Build the model, its metrics and its loss for a batch (x, y, sample_weight): `_symbolic_build`."""
    model._symbolic_build(data_batch=batch)


def compile_config(model: keras.Model) -> dict[str, Any]:
    """The arguments of `compile` that are saved with a model, which may be changed: `_compile_config`."""
    arguments: dict[str, Any] = model._compile_config.config
    return arguments


def validates_after(model: keras.Model, epoch: int, validation_freq: Any) -> bool:
    """Whether `Model.fit` validates after an epoch, counted from 0: `_should_eval`."""
    return bool(model._should_eval(epoch, validation_freq))


def first_epoch(model: keras.Model) -> int | None:
    """The epoch, counted from 0, that training begins with once callbacks have begun: `_initial_epoch`.

    None where it is the argument of `fit`.
    """
    epoch: int | None = model._initial_epoch
    return epoch


def set_first_epoch(model: keras.Model, epoch: int | None) -> None:
    """Set what `first_epoch` returns."""
    model._initial_epoch = epoch


# What a model is compiled with.


def computed_loss(
    model: keras.Model, x: Any, y: Any, outputs: Any, sample_weight: Any, *, training: bool
) -> Any:
    """A model's whole loss: `_compute_loss`, a `compute_loss` that need not take `training`."""
    return model._compute_loss(x=x, y=y, y_pred=outputs, sample_weight=sample_weight, training=training)


def loss_tracker(model: keras.Model) -> keras.metrics.Mean:
    """The metric `loss`, of which every `compile` makes a new one: `_loss_tracker`."""
    return model._loss_tracker


def loss_weights(model: keras.Model) -> Any:
    """`loss_weights` as `compile` took it: `_user_loss_weights` of `_compile_loss`."""
    return None if model._compile_loss is None else model._compile_loss._user_loss_weights


def losses_by_output(model: keras.Model) -> list[Any]:
    """The loss of each output that has one, once the model is built: `_flat_losses` of `_compile_loss`."""
    losses = model._compile_loss._flat_losses if model._compile_loss else None
    return [output.loss for output in losses or ()]


def compiled_metrics(model: keras.Model) -> list[Any]:
    """`metrics` and `weighted_metrics` as `compile` took them; an empty list where there are none.

    They are `_user_metrics` and `_user_weighted_metrics` of `_compile_metrics`.
    """
    compiled = getattr(model, "_compile_metrics", None)
    return [] if compiled is None else [compiled._user_metrics, compiled._user_weighted_metrics]


def metrics_by_output(model: keras.Model) -> tuple[list[Any], list[Any]]:
    """The metrics of each output that has some, and its weighted metrics, once the model is built.

    They are `_flat_metrics` and `_flat_weighted_metrics` of `_compile_metrics`.
    """
    compiled = model._compile_metrics
    if compiled is None:
        return [], []
    groups = (compiled._flat_metrics, compiled._flat_weighted_metrics)
    unweighted, weighted = ([metric for metric in group if metric] for group in groups)
    return unweighted, weighted


def wrapped_function(criterion: Any) -> Any:
    """The function of a metric (`_fn`) or a loss (`fn`) that is made of one; None: it is not."""
    return getattr(criterion, "_fn", getattr(criterion, "fn", None))


def function_arguments(criterion: Any) -> dict[str, Any]:
    """The arguments that a loss or metric passes to its function, which may be changed: `_fn_kwargs`."""
    arguments: dict[str, Any] = getattr(criterion, "_fn_kwargs", {})
    return arguments


def set_loss_dtype(loss: keras.losses.Loss, dtype: str) -> None:
    """Let a loss compute in another float type: `_dtype` and `_dtype_policy`."""
    loss._dtype_policy = keras.DTypePolicy(dtype)
    loss._dtype = dtype


# Callbacks.


def is_default(method: Any) -> bool:
    """Whether a callback's method is that of `keras.callbacks.Callback`, which does nothing: `is_default`."""
    return bool(python_utils.is_default(method))


def traces_batches(callback: keras.callbacks.TensorBoard) -> bool:
    """Whether a TensorBoard callback profiles batches: `_should_trace`."""
    return bool(callback._should_trace)


def set_monitor_op(callback: keras.callbacks.Callback) -> None:
    """Let a callback with a `monitor` find out whether more of it is better: `_set_monitor_op`."""
    callback._set_monitor_op()
