"""A copy of a model that computes in float64: checks are exact and leave the user's model unchanged."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from kerashp._compat.keras import flatten_layers, loss_weights, set_loss_dtype
from kerashp._compat.keras_optimizers import rate_of
from kerashp._statistics import update_normalization
from kerashp.diagnostics._foundations.forward_pass import recurrent_states
from kerashp.training import isolated, without_lambda_warnings
from kerashp.training._keras.layers import is_of_keras, is_plain
from kerashp.training._runtime.backend import backend, supported
from kerashp.training._runtime.temporary_values import temporary_values

_BASE_ARGUMENTS = ("name", "trainable", "dtype")
_MAX_CHARACTERS = 200
_FLOATS = ("float16", "bfloat16", "float32", "mixed_float16", "mixed_bfloat16")
_REMEDY = (
    "Define get_config() and from_config() with all arguments of __init__, including **kwargs with dtype, as "
    "for saving the model"
)


@contextmanager
def in_float64(caller: str, seed: int) -> Iterator[None]:
    """Within the context Keras and its backend compute in float64, with this seed."""
    if not supported():
        raise NotImplementedError(
            f"{caller}: the {keras.backend.backend()} backend has no gradients; use TensorFlow or JAX"
        )
    with backend().float64(), isolated(seed=seed, dtype="float64"):
        yield


def float64_copy(caller: str, model: Any, x: Any) -> Any:
    """A copy of the model in float64, not compiled, with the model's weights, or new ones if it is not built.

    To be called within `in_float64`. `x` are inputs of the model; the copy is called with all rows of them,
    because a model may have a fixed batch size.
    """
    try:
        copy = _Cloner().layer(model)
    except Exception as error:
        raise ValueError(
            f"{caller}: {_model_label(model)} cannot be copied in float64: {_shortened(error)}. {_REMEDY}"
        ) from error
    copy(tree.map_structure(ops.convert_to_tensor, x), training=False)
    if model.built:
        _copy_weights(caller, model, copy)
    _copy_states(model, copy)
    update_normalization(copy)
    return copy


def _copy_states(model: Any, copy: Any) -> None:
    values = [ops.convert_to_numpy(state) for state in recurrent_states(model)]
    states = recurrent_states(copy)
    for state, value in zip(states, values or [np.zeros(state.shape) for state in states], strict=True):
        state.assign(np.asarray(value, state.dtype))


def _shortened(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}..."


def _model_label(model: Any) -> str:
    return f"{type(model).__name__} {model.name!r}"


def compile_copy(model: Any, copy: Any) -> Any:
    """Compile the copy with the model's loss in float64 and a new optimizer of the same class; return it."""
    optimizer = model.optimizer
    config = optimizer.get_config()
    rate = rate_of(optimizer)
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        config["learning_rate"] = rate  # a user's class may not be registered by name
    weights = loss_weights(model)
    loss = tree.map_structure(_loss_in_float64, model.loss)
    copy.compile(type(optimizer).from_config(config), loss, weights, jit_compile=False)
    return copy


def _loss_in_float64(loss: Any) -> Any:
    """A copy of a Keras loss in float64; Keras' losses cast to the float type of their creation."""
    if not isinstance(loss, keras.losses.Loss):
        return loss
    copy = object.__new__(type(loss))
    vars(copy).update(vars(loss))
    set_loss_dtype(copy, "float64")
    return copy


class _Cloner:
    """Copies models of Keras' own classes with all nested layers; shared layers remain shared."""

    def __init__(self) -> None:
        self._clones: dict[int, Any] = {}

    def model(self, model: Any) -> Any:
        inputs = None
        if getattr(model, "inputs", None):  # a Sequential may have none yet
            tensors = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
            inputs = tree.map_structure(_input_in_float64, tensors)
        with temporary_values(
            (vars(model), "compiled", False)
        ):  # or Keras would compile a Sequential's clone
            return keras.models.clone_model(model, inputs, self.layer, cache=self._clones)

    def layer(self, layer: Any) -> Any:
        if isinstance(layer, keras.Model) and is_plain(layer):
            return self.model(layer)
        return _copy_by_config(layer)


def _input_in_float64(tensor: Any) -> Any:
    dtype = "float64" if tensor.dtype in _FLOATS else tensor.dtype
    return keras.Input(batch_shape=tensor.shape, dtype=dtype, name=tensor.name)


def _copy_by_config(layer: Any) -> Any:
    with without_lambda_warnings():
        config = layer.get_config()
    config = _with_float64(config) | _user_functions(layer, config)
    arguments = _accepted_arguments(layer, config)
    with keras.saving.CustomObjectScope(_layer_classes(layer)):
        # Lambda.from_config expects the name of a function.
        is_lambda = type(layer) is keras.layers.Lambda
        copy = keras.layers.Lambda(**arguments) if is_lambda else type(layer).from_config(arguments)
    if arguments != config:
        copy.name, copy.trainable = layer.name, layer.trainable
    return copy


def _accepted_arguments(layer: Any, config: dict[str, Any]) -> dict[str, Any]:
    """The config without those arguments of the base class that `__init__` of this layer does not accept."""
    parameters = inspect.signature(type(layer).__init__).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return config
    return {
        name: value for name, value in config.items() if name in parameters or name not in _BASE_ARGUMENTS
    }


def _user_functions(layer: Any, config: dict[str, Any]) -> dict[str, Any]:
    """The user's functions among a layer's arguments, which may not be registered by name."""
    attributes = {name: getattr(layer, name, None) for name in config}
    return {name: value for name, value in attributes.items() if _is_user_function(value)}


def _is_user_function(value: Any) -> bool:
    return callable(value) and not isinstance(value, type | keras.Layer) and not is_of_keras(value)


def _layer_classes(layer: Any) -> dict[str, Any]:
    inside = {type(part) for part in flatten_layers(layer)} if isinstance(layer, keras.Layer) else ()
    return {keras.saving.get_registered_name(part): part for part in inside}


def _with_float64(config: Any) -> Any:
    """The config with every float type replaced by float64."""
    if isinstance(config, list | tuple):
        return type(config)(map(_with_float64, config))
    if not isinstance(config, dict):
        return config
    return {
        key: "float64" if key == "dtype" and _is_float_dtype(value) else _with_float64(value)
        for key, value in config.items()
    }


def _is_float_dtype(dtype: Any) -> bool:
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name")
    return dtype in _FLOATS


def _copy_weights(caller: str, model: Any, copy: Any) -> None:
    shapes = [tuple(weight.shape) for weight in model.weights]
    if shapes != [tuple(weight.shape) for weight in copy.weights]:
        raise ValueError(
            f"{caller}: a copy of {_model_label(model)} from its config has {len(copy.weights)} weight "
            f"arrays, and the model has {len(shapes)}; their numbers and shapes must agree. {_REMEDY}"
        )
    for weight, new in zip(model.weights, copy.weights, strict=True):
        new.assign(np.asarray(ops.convert_to_numpy(weight), new.dtype))
