"""One model for many that differ in numbers and widths: it has everything that any of them has."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import keras

from kerashp._compat.keras import flatten_layers
from kerashp.training._keras.identity import (
    config_of,
    identity,
    names_by_place,
    renamed,
    without_initial_values,
)
from kerashp.training._keras.layers import controllable_dropouts
from kerashp.training._keras.numbers import (
    OF_REGULARIZERS,
    PLACEHOLDER,
    REGULARIZERS,
    numbers_of,
)
from kerashp.training._keras.optimizers import HYPERPARAMETERS, excluded_from_weight_decay, is_optimizer
from kerashp.training._members.room import Room, Units, dense_of, units_of
from kerashp.training._stacking.padding import paddable_layers

_REGULARIZERS = [regularizer.__name__ for regularizer in REGULARIZERS]


def graph_shape(model: Any) -> str | None:
    """What two models must have in common to be trained together, by `Population`.

    Numbers are no part of it, zero or not, and neither are hidden widths where they can be padded: where the
    layers are Dense, Activation, Dropout, BatchNormalization, LayerNormalization, Normalization and Flatten,
    and activations, penalties, constraints and the optimizer give the same with zeros added.

    Parameters
    ----------
    model : keras.Model
        Compiled and built.

    Returns
    -------
    str or None
        Equal for models of one graph shape. None: the model has code of the user's own in it, and trains
        together only with itself.

    Examples
    --------
    >>> from kerashp import build_model
    >>> from kerashp.training import graph_shape
    >>> one, wider, deeper = build_model(1, 30), build_model(1, 50, 0.1, dropout=0.2), build_model(2, 30)
    >>> graph_shape(one) == graph_shape(wider)
    True
    >>> graph_shape(one) == graph_shape(deeper)
    False
    """
    alike = identity(model, numbers_of(model))
    if alike is None or any(excluded_from_weight_decay(model)):
        return alike  # a template would not know which weights the optimizer was told to spare
    config = _config(model)
    layers = _without_dropout(model, _layers(config))
    left_out = _names(_layers(config)) - _names(layers)
    padded = paddable_layers(model)
    own_rates = _own_rates(model)
    for layer in layers:
        own = layer["config"]
        for name in _numbers_in(layer, own_rates):
            own[name] = "a number"
        if own["name"] in padded:
            own["units"] = "a width"
    config["model"]["layers"] = layers
    for part in _compiled_parts(config):
        part["config"] |= dict.fromkeys(_numbers_in(part, own_rates), "a number")
    kept = [layer for layer in flatten_layers(model) if layer.name not in left_out]
    names = names_by_place(model, kept)
    config["model"] = _without_widths(renamed(config["model"], names)) | {"name": None}
    return json.dumps(without_initial_values(config), sort_keys=True, default=repr)


def _without_widths(config: Any) -> Any:
    """The config without the shapes of the tensors between layers."""
    if isinstance(config, list):
        return [_without_widths(value) for value in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "__keras_tensor__":
        return config["config"]["keras_history"]
    return {key: _without_widths(value) for key, value in config.items()}


def template_of(models: Sequence[Any], units: Units) -> Any:
    """A model of which all of these, of one graph shape, are cases: some numbers zero, some units missing.

    `units` are those of its Dense layers: as many as the widest has, or more.
    """
    models = list({id(model): model for model in models}.values())
    wide_enough = units_of(models[0]) == units
    if wide_enough and len(models) == 1:
        return models[0]
    identities = {identity(model, numbers_of(model)) for model in models}
    if wide_enough and len(identities) == 1:
        return models[0]
    configs = [_config(model) for model in models]
    merged = configs[0]
    merged["model"]["layers"] = _merged_layers(models[0], [_layers(config) for config in configs])
    names = {layer.name: own for layer, own in zip(dense_of(models[0]), units, strict=True)}
    for layer in _layers(merged):
        own = layer["config"]
        own |= {"units": names[own["name"]]} if own["name"] in names else {}
    for parts in zip(*map(_compiled_parts, configs), strict=True):
        parts[0]["config"] |= _merged_numbers(parts, own_rates=False)
    template = type(models[0]).from_config(merged["model"])
    template.compile_from_config(merged["compile"])
    return template


def roomier(model: Any, room: Room) -> Room:
    """A room for what is a little wider, too, where a model's units can be padded.

    Its widths are powers of the square root of 2, so that many populations have the same.

    >>> from kerashp import build_model
    >>> roomier(build_model(2, 40), Room.of([(40, 40, 1)], 3)).units
    (46, 46, 1)
    """
    names = paddable_layers(model)
    spare = tuple(layer.name in names for layer in dense_of(model))

    def rounded(units: int) -> int:
        widths = (math.ceil(2 ** (power / 2)) for power in count())
        return next(width for width in widths if width >= units)

    units = [rounded(own) if wide else own for own, wide in zip(room.units, spare, strict=True)]
    return replace(room, units=tuple(units), spare=spare)


def weight_shapes(model: Any, room: Room) -> list[tuple[int, ...]]:
    """The shapes of the weights that are trained, as wide as the room."""
    return [tuple(weight.shape) for weight in template_of([model], room.units).trainable_variables]


def aligned(template: Any, model: Any) -> list[Any]:
    """The model's layers in the order of the template's; None for a Dropout that it lacks."""
    own = iter([*flatten_layers(model), None])
    layer = next(own)
    found: list[Any] = []
    for wanted in flatten_layers(template):
        missing = type(wanted) is keras.layers.Dropout and type(layer) is not keras.layers.Dropout
        found.append(None if missing else layer)
        layer = layer if missing else next(own)
    return found


def _config(model: Any) -> dict[str, Any]:
    config = json.loads(json.dumps(config_of(model), default=lambda number: number.item()))  # of NumPy's
    for layer in _layers(config):
        layer.pop("build_config", None)
        if layer["class_name"] in ("Activation", "Dense"):
            layer["config"].setdefault("activity_regularizer", None)  # Keras leaves out what is not there
    if "build_input_shape" in config["model"]:
        config["model"]["build_input_shape"][0] = None
    return config


def _layers(config: dict[str, Any]) -> list[dict[str, Any]]:
    return config["model"]["layers"]


def _names(layers: list[dict[str, Any]]) -> set[str]:
    return {layer["config"]["name"] for layer in layers}


def _compiled_parts(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The configs of the optimizer and of the losses that are objects."""
    losses = config["compile"]["loss"]
    parts = [losses] if isinstance(losses, dict) and "class_name" in losses else keras.tree.flatten(losses)
    return [part for part in (config["compile"]["optimizer"], *parts) if isinstance(part, dict)]


def _own_rates(model: Any) -> bool:
    """Whether each of the model's Dropout layers can be given a rate from outside."""
    dropouts = [layer for layer in flatten_layers(model) if type(layer) is keras.layers.Dropout]
    return len(dropouts) == len(controllable_dropouts(model))


def _numbers_in(part: dict[str, Any], own_rates: bool) -> list[str]:
    """The names in a config whose values are only numbers, or penalties that are."""
    own = part["config"]
    if is_optimizer(part):
        return [name for name in HYPERPARAMETERS if name in own]
    if part["class_name"] == "Dropout":
        return ["rate"] if own_rates else []
    penalties = [name for name in own if name.endswith("_regularizer") and _is_penalty(own[name])]
    return [*penalties, *[name for name in ("label_smoothing",) if name in own]]


def _is_penalty(regularizer: Any) -> bool:
    return regularizer is None or (
        regularizer.get("module") == "keras.regularizers" and regularizer["class_name"] in _REGULARIZERS
    )


def _is_optional(layer: dict[str, Any]) -> bool:
    return layer["class_name"] == "Dropout"


def _without_dropout(model: Any, layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers that a model has whatever its rates: those of a Sequential, but for its Dropout layers."""
    if type(model) is not keras.Sequential or not _own_rates(model):
        return layers
    return [layer for layer in layers if not _is_optional(layer)]


def _merged_layers(model: Any, lists: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    own_rates = _own_rates(model)
    if type(model) is not keras.Sequential or not own_rates:
        return [_merged(layers, own_rates) for layers in zip(*lists, strict=True)]
    merged = []
    rests = [[*layers] for layers in lists]
    while any(rests):
        optional = [rest[0] for rest in rests if rest and _is_optional(rest[0])]
        if optional:
            merged.append(_merged(optional, own_rates))
            merged[-1]["config"]["name"] = f"dropout_before_layer_{len(merged)}"  # no other's name
            rests = [rest[1:] if rest and _is_optional(rest[0]) else rest for rest in rests]
        else:
            merged.append(_merged([rest.pop(0) for rest in rests], own_rates))
    return merged


def _merged(layers: Sequence[dict[str, Any]], own_rates: bool) -> dict[str, Any]:
    return {**layers[0], "config": layers[0]["config"] | _merged_numbers(layers, own_rates)}


def _merged_numbers(parts: Sequence[dict[str, Any]], own_rates: bool) -> dict[str, Any]:
    """The numbers that any of these has: a placeholder where one is not zero."""

    def merged(name: str) -> Any:
        values = [part["config"][name] for part in parts]
        if name.endswith("_regularizer"):
            return _merged_penalty(values)
        return next((PLACEHOLDER for value in values if value), values[0])

    return {name: merged(name) for name in _numbers_in(parts[0], own_rates)}


def _merged_penalty(penalties: Sequence[Any]) -> Any:
    own = [penalty["config"] for penalty in penalties if penalty]
    if not own:
        return None
    numbers = {name: PLACEHOLDER if any(o.get(name) for o in own) else 0.0 for name in OF_REGULARIZERS}
    return keras.saving.serialize_keras_object(keras.regularizers.L1L2(**numbers))
