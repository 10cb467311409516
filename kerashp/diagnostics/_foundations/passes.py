"""A model's loss as a function of its weights, and a way to what passes between its layers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops, tree

from kerashp._arguments import Arguments
from kerashp._compat.keras import flatten_layers
from kerashp.training._keras.data import are_arrays, leaves, standardized
from kerashp.training._runtime.temporary_values import temporary_values


class Rows(NamedTuple):
    """What a model is checked on."""

    x: Any
    y: Any = None
    sample_weight: Any = None


class Place(NamedTuple):
    """Where a tensor passes."""

    layer: str
    call: int  # of the layer in one pass
    side: str  # "in" or "out"


Tap = Callable[[Place, Any], Any]  # of a place and what passes there; returns what goes on


class Pass:
    """Rows through a model in its present state, as a function of its trainable weights.

    Nothing is changed by it, and nothing in it is random but what is so at prediction. BatchNormalization
    takes the statistics of the rows, as it does in training.
    """

    def __init__(self, model: Any, rows: Rows):
        self._model = model
        self._rows = rows
        others = [*model.non_trainable_variables, *model.metrics_variables, *states_of(model)]
        self._others = [(variable, ops.convert_to_numpy(variable)) for variable in others]

    def loss(self, weights: Sequence[Any]) -> Any:
        """The model's whole loss, penalties too."""
        x, y, sample_weight = self._rows
        with self._given(weights):
            outputs = self._called()
            return self._model._compute_loss(x, y, outputs, sample_weight, training=False)

    def outputs(self, weights: Sequence[Any]) -> Any:
        """What the model predicts."""
        with self._given(weights):
            return self._called()

    def _given(self, weights: Sequence[Any]) -> Any:
        pairs = zip(self._model.trainable_variables, weights, strict=True)
        return keras.StatelessScope(state_mapping=[*self._others, *pairs], collect_losses=True)

    def _called(self) -> Any:
        changes = [
            (vars(layer), "call", _with_own_statistics(layer)) for layer in _normalizations(self._model)
        ]
        arguments = {"training": False} if self._model._call_has_training_arg else {}
        with temporary_values(*changes):
            return self._model(self._rows.x, **arguments)


def _normalizations(model: Any) -> list[Any]:
    layers = flatten_layers(model)
    return [
        layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]


def _with_own_statistics(layer: Any) -> Callable[..., Any]:
    call = layer.call

    def in_training(*arguments: Any, **named: Any) -> Any:
        return call(*arguments, **{**named, "training": True})

    return in_training


def states_of(model: Any) -> list[Any]:
    """What stateful recurrent layers keep from batch to batch, which Keras has not among their variables."""
    layers = [layer for layer in flatten_layers(model) if isinstance(layer, keras.layers.RNN)]
    states = tree.flatten([layer.states for layer in layers])
    return [state for state in states if state is not None]


def layers_of(model: Any, prefix: str = "") -> dict[str, Any]:
    """The model's layers by name, in order, with those of models inside it as `model/layer`."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= layers_of(layer, f"{prefix}{layer.name}/")
        elif not isinstance(layer, keras.layers.InputLayer):
            found[prefix + layer.name] = layer
    return found


@contextmanager
def tapped(model: Any, tap: Tap) -> Iterator[None]:
    """Inside, all floats that go into the model's layers and come out of them pass through `tap`."""
    layers = layers_of(model).items()
    with temporary_values(*[(vars(layer), "call", _tapped_call(name, layer, tap)) for name, layer in layers]):
        yield


def _tapped_call(name: str, layer: Any, tap: Tap) -> Callable[..., Any]:
    call = layer.call

    numbers = count()

    def through(place: Place, tensors: Any) -> Any:
        return tree.map_structure(lambda each: tap(place, each) if is_float(each) else each, tensors)

    def tapped_call(*arguments: Any, **named: Any) -> Any:
        place = Place(name, next(numbers), "in")
        outputs = call(*through(place, arguments), **through(place, named))
        return through(place._replace(side="out"), outputs)

    return tapped_call


def is_float(tensor: Any) -> bool:
    """Whether this is a tensor of a float type."""
    return ops.is_tensor(tensor) and "float" in keras.backend.standardize_dtype(tensor.dtype)


def checked_model(check: Arguments, model: Any, *, compiled: bool) -> None:
    """Refuse what is no model, or is not compiled where it has to be."""
    if not isinstance(model, keras.Model):
        raise check.wrong_type("model", "a keras.Model", model)
    if compiled and not model.compiled:
        raise ValueError(
            f"{check.caller}: the model {model.name!r} has no loss, as it is not compiled; call model.compile"
        )


def checked_rows(check: Arguments, x: Any, y: Any, sample_weight: Any, n_rows: int | None = None) -> Rows:
    """The first `n_rows` rows in Keras' float type, on the device."""
    data = checked_data(check, x=x, y=y, sample_weight=sample_weight)
    return Rows(*tree.map_structure(lambda each: _put(each, n_rows), data))


def checked_data(check: Arguments, **data: Any) -> tuple[Any, Any, Any]:
    """Rows, targets and weights, in this order, as Keras takes them; anything else is refused by its name."""
    for name, own in data.items():
        if not are_arrays(own) or any(map(_has_text, leaves(own))):
            remedy = "; encode labels as integers (LabelEncoder)" if name == "y" else ""
            raise check.wrong_type(name, f"dense arrays of numbers, or lists or dicts of them{remedy}", own)
    return keras.utils.unpack_x_y_sample_weight(standardized(*data.values()))


def _has_text(leaf: Any) -> bool:
    if not hasattr(leaf, "to_numpy"):  # a data frame or one of its columns
        return False
    array = np.asarray(leaf)
    return array.dtype.kind == "O" and any(isinstance(value, str) for value in array.flat)


def _put(array: Any, n_rows: int | None) -> Any:
    return None if array is None else ops.convert_to_tensor(array[:n_rows])
