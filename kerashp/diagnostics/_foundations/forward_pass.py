"""A model's loss as a function of its weights, and access to the tensors between its layers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops, tree

from kerashp._arguments import Arguments
from kerashp._compat.keras import computed_loss, flatten_layers, training_argument
from kerashp.training._keras.data import are_arrays, leaves, standardized
from kerashp.training._runtime.temporary_values import temporary_values


class ModelData(NamedTuple):
    """The data that a model is checked on."""

    x: Any
    y: Any = None
    sample_weight: Any = None


class Place(NamedTuple):
    """The position of a tensor in a forward pass."""

    layer: str
    call: int  # which call of the layer in this pass
    side: str  # "in" or "out"


Tap = Callable[[Place, Any], Any]  # takes a place and the tensor there; returns the tensor to replace it


class ForwardPass:
    """Data through a model in its present state, as a function of the model's trainable weights.

    The model is not changed. Only layers that are random at prediction are random here. BatchNormalization
    uses the statistics of the data, as in training.
    """

    def __init__(self, model: Any, data: ModelData):
        self._model = model
        self._data = data
        variables = [*model.non_trainable_variables, *model.metrics_variables, *recurrent_states(model)]
        self._constants = [(variable, ops.convert_to_numpy(variable)) for variable in variables]

    def loss(self, weights: Sequence[Any]) -> Any:
        """The model's total loss, penalties included."""
        x, y, sample_weight = self._data
        with self._with_weights(weights):
            outputs = self._call()
            return computed_loss(self._model, x, y, outputs, sample_weight, training=False)

    def outputs(self, weights: Sequence[Any]) -> Any:
        """The model's predictions."""
        with self._with_weights(weights):
            return self._call()

    def _with_weights(self, weights: Sequence[Any]) -> Any:
        pairs = zip(self._model.trainable_variables, weights, strict=True)
        return keras.StatelessScope(state_mapping=[*self._constants, *pairs], collect_losses=True)

    def _call(self) -> Any:
        changes = [
            (vars(layer), "call", _call_in_training(layer)) for layer in _batch_normalizations(self._model)
        ]
        arguments = training_argument(self._model, training=False)
        with temporary_values(*changes):
            return self._model(self._data.x, **arguments)


def _batch_normalizations(model: Any) -> list[Any]:
    layers = flatten_layers(model)
    return [
        layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]


def _call_in_training(layer: Any) -> Callable[..., Any]:
    call = layer.call

    def call_in_training(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **{**kwargs, "training": True})

    return call_in_training


def recurrent_states(model: Any) -> list[Any]:
    """The states of stateful recurrent layers, which Keras does not count among their variables."""
    layers = [layer for layer in flatten_layers(model) if isinstance(layer, keras.layers.RNN)]
    states = tree.flatten([layer.states for layer in layers])
    return [state for state in states if state is not None]


def layers_by_name(model: Any, prefix: str = "") -> dict[str, Any]:
    """The model's layers by name, in order; layers of nested models are named `model/layer`."""
    layers: dict[str, Any] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            layers |= layers_by_name(layer, f"{prefix}{layer.name}/")
        elif not isinstance(layer, keras.layers.InputLayer):
            layers[prefix + layer.name] = layer
    return layers


@contextmanager
def tap_layers(model: Any, tap: Tap) -> Iterator[None]:
    """Within the context all float inputs and outputs of the model's layers pass through `tap`."""
    layers = layers_by_name(model).items()
    with temporary_values(
        *[(vars(layer), "call", _call_with_tap(name, layer, tap)) for name, layer in layers]
    ):
        yield


def _call_with_tap(name: str, layer: Any, tap: Tap) -> Callable[..., Any]:
    call = layer.call
    numbers = count()

    def apply_tap(place: Place, tensors: Any) -> Any:
        return tree.map_structure(lambda tensor: tap(place, tensor) if is_float(tensor) else tensor, tensors)

    def call_with_tap(*args: Any, **kwargs: Any) -> Any:
        place = Place(name, next(numbers), "in")
        outputs = call(*apply_tap(place, args), **apply_tap(place, kwargs))
        return apply_tap(place._replace(side="out"), outputs)

    return call_with_tap


def is_float(tensor: Any) -> bool:
    """Whether `tensor` is a tensor of a float type."""
    return ops.is_tensor(tensor) and "float" in keras.backend.standardize_dtype(tensor.dtype)


def check_model(check: Arguments, model: Any, *, compiled: bool) -> None:
    """Raise an error if this is not a model, or not compiled although it has to be."""
    if not isinstance(model, keras.Model):
        raise check.wrong_type("model", "a keras.Model", model)
    if compiled and not model.compiled:
        raise ValueError(
            f"{check.caller}: the model {model.name!r} has no loss, because it is not compiled; call "
            "model.compile"
        )


def as_model_data(
    check: Arguments, x: Any, y: Any, sample_weight: Any, n_rows: int | None = None
) -> ModelData:
    """The first `n_rows` rows of the data after a check, in Keras' float type, on the device."""
    data = as_keras_data(check, x=x, y=y, sample_weight=sample_weight)
    return ModelData(*tree.map_structure(lambda array: _first_rows(array, n_rows), data))


def as_keras_data(check: Arguments, **data: Any) -> tuple[Any, Any, Any]:
    """Inputs, targets and sample weights as Keras takes them; an error names the invalid argument."""
    for name, value in data.items():
        if not are_arrays(value) or any(map(_has_text, leaves(value))):
            remedy = "; encode labels as integers (LabelEncoder)" if name == "y" else ""
            raise check.wrong_type(name, f"dense arrays of numbers, or lists or dicts of them{remedy}", value)
    return keras.utils.unpack_x_y_sample_weight(standardized(*data.values()))


def _has_text(leaf: Any) -> bool:
    if not hasattr(leaf, "to_numpy"):  # a data frame or one of its columns
        return False
    array = np.asarray(leaf)
    return array.dtype.kind == "O" and any(isinstance(value, str) for value in array.flat)


def _first_rows(array: Any, n_rows: int | None) -> Any:
    return None if array is None else ops.convert_to_tensor(array[:n_rows])
