"""A copy of a model that computes in float64, so that the checks neither round nor touch the user's."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from kerashp._compat.keras import flatten_layers
from kerashp._statistics import take_statistics
from kerashp.diagnostics._foundations.passes import states_of
from kerashp.training import isolated, without_lambda_warnings
from kerashp.training._keras.layers import is_plain
from kerashp.training._runtime.backend import backend, supported
from kerashp.training._runtime.temporary_values import temporary_values

_OF_ALL = ("name", "trainable", "dtype")
_MOST_LETTERS = 200
_FLOATS = ("float16", "bfloat16", "float32", "mixed_float16", "mixed_bfloat16")
_REMEDY = (
    "Give it get_config() and from_config() that hold all arguments of __init__, **kwargs with dtype among "
    "them, as for saving it"
)


@contextmanager
def in_float64(caller: str, seed: int) -> Iterator[None]:
    """Inside, Keras and its backend compute in float64, under this seed; afterwards as before."""
    if not supported():
        raise NotImplementedError(
            f"{caller}: the {keras.backend.backend()} backend has no gradients here; use TensorFlow or JAX"
        )
    with backend().float64(), isolated(seed=seed, dtype="float64"):
        yield


def float64_copy(caller: str, model: Any, x: Any) -> Any:
    """The model anew in float64, not compiled, with its weights; those of a model not built are drawn.

    To be called `in_float64`. `x` are rows as the model takes them; all of them go through it once, as it may
    take no other number.
    """
    try:
        copy = _Cloning().layer(model)
    except Exception as error:
        raise ValueError(
            f"{caller}: {_shown(model)} cannot be made anew in float64: {_short(error)}. {_REMEDY}"
        ) from error
    copy(tree.map_structure(ops.convert_to_tensor, x), training=False)
    if model.built:
        _copy_weights(caller, model, copy)
    _copy_states(model, copy)
    take_statistics(copy)
    return copy


def _copy_states(model: Any, copy: Any) -> None:
    own = [ops.convert_to_numpy(state) for state in states_of(model)]
    states = states_of(copy)
    for state, value in zip(states, own or [np.zeros(state.shape) for state in states], strict=True):
        state.assign(np.asarray(value, state.dtype))


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}..."


def _shown(model: Any) -> str:
    return f"{type(model).__name__} {model.name!r}"


def compiled_like(model: Any, copy: Any) -> Any:
    """The copy, compiled with the model's loss in float64 and a fresh optimizer of the model's kind."""
    optimizer = model.optimizer
    config = optimizer.get_config()
    if isinstance(
        getattr(optimizer, "_learning_rate", None), keras.optimizers.schedules.LearningRateSchedule
    ):
        config["learning_rate"] = optimizer._learning_rate  # as it is: one's own cannot be found by its name
    weights = model._compile_loss._user_loss_weights if model._compile_loss is not None else None
    loss = tree.map_structure(_loss_in_float64, model.loss)
    copy.compile(type(optimizer).from_config(config), loss, weights, jit_compile=False)
    return copy


def _loss_in_float64(loss: Any) -> Any:
    """Keras' losses cast to the float type that they were made in."""
    if not isinstance(loss, keras.losses.Loss):
        return loss
    copy = object.__new__(type(loss))
    vars(copy).update(vars(loss))
    copy._dtype_policy = keras.DTypePolicy("float64")
    copy._dtype = "float64"
    return copy


class _Cloning:
    """Clones models of Keras' own classes with all that is in them; what is shared stays shared."""

    def __init__(self) -> None:
        self._clones: dict[int, Any] = {}

    def model(self, model: Any) -> Any:
        inputs = None
        if getattr(model, "inputs", None):  # a Sequential may not know them yet
            own = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
            inputs = tree.map_structure(_input_in_float64, own)
        # Keras would compile a Sequential's clone too.
        with temporary_values((vars(model), "compiled", False)):
            return keras.models.clone_model(model, inputs, self.layer, cache=self._clones)

    def layer(self, layer: Any) -> Any:
        if isinstance(layer, keras.Model) and is_plain(layer):
            return self.model(layer)
        return _by_config(layer)


def _input_in_float64(tensor: Any) -> Any:
    dtype = "float64" if tensor.dtype in _FLOATS else tensor.dtype
    return keras.Input(batch_shape=tensor.shape, dtype=dtype, name=tensor.name)


def _by_config(layer: Any) -> Any:
    with without_lambda_warnings():
        config = layer.get_config()
    config = _with_float64(config) | _own_functions(layer, config)
    taken = _taken(layer, config)
    with keras.saving.CustomObjectScope(_classes_inside(layer)):
        # Lambda.from_config wants its function by name.
        is_lambda = type(layer) is keras.layers.Lambda
        copy = keras.layers.Lambda(**taken) if is_lambda else type(layer).from_config(taken)
    if taken != config:
        copy.name, copy.trainable = layer.name, layer.trainable
    return copy


def _taken(layer: Any, config: dict[str, Any]) -> dict[str, Any]:
    """The config without what every layer has, but `__init__` of this one does not take."""
    parameters = inspect.signature(type(layer).__init__).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return config
    return {name: value for name, value in config.items() if name in parameters or name not in _OF_ALL}


def _own_functions(layer: Any, config: dict[str, Any]) -> dict[str, Any]:
    """The functions of the user's among a layer's arguments, which it may not be possible to find by name."""
    live = {name: getattr(layer, name, None) for name in config}
    return {name: value for name, value in live.items() if _is_own_function(value)}


def _is_own_function(value: Any) -> bool:
    if not callable(value) or isinstance(value, type | keras.Layer):
        return False
    module = getattr(value, "__module__", None) or ""
    return not module.startswith("keras.")


def _classes_inside(layer: Any) -> dict[str, Any]:
    inside = {type(part) for part in flatten_layers(layer)} if isinstance(layer, keras.Layer) else ()
    return {keras.saving.get_registered_name(part): part for part in inside}


def _with_float64(config: Any) -> Any:
    """The config with every float type in it replaced."""
    if isinstance(config, list | tuple):
        return type(config)(map(_with_float64, config))
    if not isinstance(config, dict):
        return config
    return {
        key: "float64" if key == "dtype" and _is_float(value) else _with_float64(value)
        for key, value in config.items()
    }


def _is_float(dtype: Any) -> bool:
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name")
    return dtype in _FLOATS


def _copy_weights(caller: str, model: Any, copy: Any) -> None:
    shapes = [tuple(weight.shape) for weight in model.weights]
    if shapes != [tuple(weight.shape) for weight in copy.weights]:
        raise ValueError(
            f"{caller}: {_shown(model)} made anew from its config has other weights than it has: "
            f"{len(copy.weights)} arrays instead of {len(shapes)}, or of other shapes. {_REMEDY}"
        )
    for own, new in zip(model.weights, copy.weights, strict=True):
        new.assign(np.asarray(ops.convert_to_numpy(own), new.dtype))
