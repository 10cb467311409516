"""Hidden layers that are alike, of which a member of a population may have fewer than another."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras

from kerashp._compat.keras import flatten_layers
from kerashp.layers import HIDDEN_LAYERS, HeadScale
from kerashp.training._members.room import DENSE, dense_of, missing_layers

Config = dict[str, Any]

# What a hidden layer consists of, besides Dropout, if it can be missing.
_PARTS = ["Activation", "BatchNormalization", "Dense", "LayerNormalization"]
_PARTS += [layer.__name__ for layer in HIDDEN_LAYERS]
_DENSE = [layer.__name__ for layer in DENSE]
NUMBER, WIDTH = "a number", "a width"  # in a graph shape, instead of them


def hidden_layers_of(layers: Sequence[Config]) -> list[list[Config]]:
    """The configs of a Sequential's layers, divided before each Dense, or before its HeadScale.

    The first part comes before the hidden layers, the last is the output layer with what follows it.
    """
    parts: list[list[Config]] = [[]]
    kinds = [layer["class_name"] for layer in layers]
    for layer, kind, kind_before in zip(layers, kinds, ["", *kinds], strict=False):
        if _begins_part(kind, kind_before):
            parts.append([])
        parts[-1].append(layer)
    return parts


def _begins_part(kind: str, kind_before: str) -> bool:
    """Whether a layer of this class, after one of that, is the first of a hidden layer or the output."""
    is_scaled = kind_before == HeadScale.__name__
    return kind == HeadScale.__name__ or (kind in _DENSE and not is_scaled)


def repeated_layers(layers: Sequence[Config]) -> list[list[Config]]:
    """The configs of the last hidden layers, as many as are alike; none if a model could not lack the last.

    In these configs, numbers and widths are replaced by `NUMBER` and `WIDTH`.
    """
    hidden = hidden_layers_of(layers)[1:-1]
    if not hidden or not all(map(_can_be_missing, hidden[-1])):
        return []
    unlike = (index for index in reversed(range(len(hidden))) if not _are_alike(hidden[index], hidden[-1]))
    return hidden[next(unlike, -1) + 1 :]


def with_repetitions(layers: Sequence[Config], n_dense: int) -> list[Config]:
    """The configs with copies of the last hidden layer, so that there are so many Dense layers."""
    *parts, output = hidden_layers_of(layers)
    for index in range(len(parts), n_dense):
        parts.append(copy.deepcopy(parts[-1]))
        for layer in parts[-1]:
            layer["config"]["name"] += f"_of_dense_{index}"  # unlike any other name
    return [layer for part in (*parts, output) for layer in part]


def _are_alike(one: Sequence[Config], other: Sequence[Config]) -> bool:
    ours, theirs = ([_without_name(layer) for layer in part] for part in (one, other))
    return ours == theirs


def _can_be_missing(layer: Config) -> bool:
    """Whether a layer with zeros for weights and penalties changes nothing outside itself."""
    options = layer["config"]
    penalties = [value for name, value in options.items() if name.endswith("_regularizer")]
    is_padded = layer["class_name"] != "Dense" or options["units"] == WIDTH
    return layer["class_name"] in _PARTS and is_padded and all(value in (None, NUMBER) for value in penalties)


def _without_name(layer: Config) -> Config:
    options = {name: value for name, value in layer["config"].items() if not name.endswith("_initializer")}
    return layer | {"config": options | {"name": None}}


def numbered_layers(model: Any) -> Iterator[tuple[int, Any]]:
    """The model's layers, each with the number of the hidden layer or output that it belongs to, or -1."""
    number, kind_before = -1, ""
    for layer in flatten_layers(model):
        kind = type(layer).__name__ if type(layer) in (*DENSE, HeadScale) else ""
        number += _begins_part(kind, kind_before)
        kind_before = kind
        yield number, layer


class HiddenLayer(NamedTuple):
    """The first layer of a hidden one, its Dense and its last layer, but for Dropout."""

    first: Any
    dense: Any
    last: Any


def layers_that_can_be_missing(model: Any, n_missing: int) -> list[HiddenLayer]:
    """The last hidden layers, so many."""
    numbers = missing_layers(len(dense_of(model)), n_missing)
    parts: dict[int, list[Any]] = {number: [] for number in numbers}
    for number, layer in numbered_layers(model):
        if number in parts and type(layer) is not keras.layers.Dropout:
            parts[number].append(layer)
    dense = set(map(id, dense_of(model)))
    return [
        HiddenLayer(part[0], next(layer for layer in part if id(layer) in dense), part[-1])
        for part in parts.values()
    ]
