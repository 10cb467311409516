"""One template for many models that differ in numbers and widths: it has all numbers that they have."""

import json
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import keras

from kerashp._compat.keras import flatten_layers
from kerashp.layers import CategoricalColumns, LearnedScale, ParametricActivation
from kerashp.training._keras.identity import (
    can_be_made_from_config,
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
from kerashp.training._keras.optimizers import HYPERPARAMETERS, is_optimizer
from kerashp.training._members.room import (
    WIDTHS_BY_NAME,
    Room,
    Units,
    dense_of,
    missing_layers,
    units_of,
    width_places,
)
from kerashp.training._stacking.columns import columns_of, with_columns
from kerashp.training._stacking.padding import paddable_layers
from kerashp.training._stacking.repeated_layers import (
    NUMBER,
    WIDTH,
    hidden_layers_of,
    numbered_layers,
    repeated_layers,
    with_repetitions,
)

_OPTIONAL = (keras.layers.Dropout, keras.layers.Embedding)
_REGULARIZERS = [regularizer.__name__ for regularizer in REGULARIZERS]


def graph_shape(model: Any) -> str | None:
    """A text that is equal for models that can be trained together, by `Population`.

    It contains no numbers, zero or not, and no hidden widths where these can be padded: where the layers are
    Dense, Activation, Dropout, BatchNormalization, LayerNormalization, Normalization, Flatten and those of
    `kerashp.layers`, and activations, penalties, constraints and the optimizer have the same values with
    zeros added; nor how many columns the input has. Nor does it contain how many hidden layers a Sequential
    has, from one up, where all from one on to the last are alike but for numbers and widths.

    Parameters
    ----------
    model : keras.Model
        Compiled and built.

    Returns
    -------
    str or None
        Equal for models of one graph shape. None: the model contains code of the user's own, and trains
        together only with copies of itself.

    Examples
    --------
    >>> from kerashp import build_model
    >>> from kerashp.training import graph_shape
    >>> one, wider, deeper = build_model(1, 30), build_model(1, 50, 0.1, dropout=0.2), build_model(2, 30)
    >>> graph_shape(one) == graph_shape(wider) == graph_shape(deeper)
    True
    >>> graph_shape(one) == graph_shape(build_model(1, 30, activation="tanh"))
    False
    """
    exact = identity(model, numbers_of(model))
    if exact is None or not can_be_made_from_config(model):
        return exact
    config = _config(model)
    layers, repeated = _layers_of_shape(model, config)
    repetitions = [layer for hidden_layer in repeated[1:] for layer in hidden_layer]
    left_out = _layer_names(_layer_configs(config)) - _layer_names(layers) | _layer_names(repetitions)
    config["model"]["layers"] = [layer for layer in layers if layer not in repetitions]
    if columns_of(model):
        with_columns(config["model"], config["model"]["layers"], None)
    rates = _has_controllable_rates(model)
    for part in _compiled_parts(config):
        part["config"] |= dict.fromkeys(_numbers_in(part, rates), NUMBER)
    parts = {id(layer.embedding) for layer in model.layers if type(layer) is CategoricalColumns}
    placed_layers = [
        layer for layer in flatten_layers(model) if layer.name not in left_out and id(layer) not in parts
    ]
    names = names_by_place(model, placed_layers)
    config["model"] = without_widths(renamed(config["model"], names)) | {"name": None}
    return json.dumps(without_initial_values(config), sort_keys=True, default=repr)


def n_repeated(model: Any) -> int:
    """How many of the last hidden layers are alike: models of this graph shape have at least one of them.

    0 if all models of this graph shape have the same number of layers.
    """
    if graph_shape(model) is None or not can_be_made_from_config(model):
        return 0
    return len(_layers_of_shape(model, _config(model))[1])


def _layers_of_shape(
    model: Any, config: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """The configs of layers that a model has whatever its rates, and the last hidden ones that are alike.

    They contain no numbers and no widths.
    """
    layers = _without_dropout(model, _layer_configs(config))
    padded = paddable_layers(model)
    rates = _has_controllable_rates(model)
    for layer in layers:
        options = layer["config"]
        for name in _numbers_in(layer, rates):
            options[name] = NUMBER
        if options["name"] in padded:
            options |= dict.fromkeys(WIDTHS_BY_NAME[layer["class_name"]], WIDTH)
    return layers, repeated_layers(layers) if _is_chain(model) else []


def _is_chain(model: Any) -> bool:
    """Whether the model is a Sequential whose Dropout layers another of its graph shape may lack."""
    return type(model) is keras.Sequential and _has_controllable_rates(model)


def without_widths(config: Any) -> Any:
    """The config without the shapes of the tensors between layers."""
    if isinstance(config, list):
        return [without_widths(value) for value in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "__keras_tensor__":
        return config["config"]["keras_history"]
    return {key: without_widths(value) for key, value in config.items()}


def template_of(models: Sequence[Any], units: Units, columns: Units) -> Any:
    """The model of which these, of one graph shape, are special cases.

    They have zero for some of its numbers, and lack some units, some of the last hidden layers and some
    columns of the input. `units` are the widths of its Dense layers: those of the widest and deepest model,
    or more. `columns` are those of its input, see `columns_of`; empty where it is that of all models.
    """
    models = sorted({id(model): model for model in models}.values(), key=lambda model: -len(units_of(model)))
    has_columns = not columns or columns == columns_of(models[0])
    wide_enough = units_of(models[0]) == units and has_columns
    if wide_enough and len(models) == 1:
        return models[0]
    identities = {identity(model, numbers_of(model)) for model in models}
    if wide_enough and len(identities) == 1:
        return models[0]
    configs = [_config(model) for model in models]
    merged = configs[0]
    layers = _merged_layers(models[0], [_layer_configs(config) for config in configs])
    if not wide_enough:
        n_dense = len(units) - len(units_of(models[0])) + len(dense_of(models[0]))
        layers = with_repetitions(layers, n_dense) if _is_chain(models[0]) else layers
        widths = iter(units)
        for layer in layers:
            layer["config"] |= {name: next(widths) for name in WIDTHS_BY_NAME.get(layer["class_name"], ())}
        if columns:
            with_columns(merged["model"], layers, columns)
    merged["model"]["layers"] = layers
    for parts in zip(*map(_compiled_parts, configs), strict=True):
        parts[0]["config"] |= _merged_numbers(parts, rates=False)
    template = type(models[0]).from_config(merged["model"])
    template.compile_from_config(merged["compile"])
    return template


def roomier(model: Any, room: Room) -> Room:
    """A room that is a little wider where a model's units can be padded, and takes members of less depth.

    Its widths are rounded up to powers of the square root of 2, so that many populations share one room. The
    model is as deep as the room.

    >>> from kerashp import build_model
    >>> room = roomier(build_model(2, 40), Room.of([(40, 40, 1)], 3))
    >>> room.units, room.holds((9, 1))
    ((46, 46, 1), True)
    """
    names = paddable_layers(model)
    spare = tuple(layer.name in names for layer, _ in width_places(model))

    def rounded(units: int) -> int:
        widths = (math.ceil(2 ** (power / 2)) for power in count())
        return next(width for width in widths if width >= units) if units else 0

    units = [rounded(width) if is_spare else width for width, is_spare in zip(room.units, spare, strict=True)]
    return replace(room, units=tuple(units), spare=spare, spare_layers=max(0, n_repeated(model) - 1))


def weight_shapes(model: Any, room: Room) -> list[tuple[int, ...]]:
    """The shapes of the trainable weights of a model as wide and deep as the room."""
    template = template_of([model], room.units, room.columns)
    return [tuple(weight.shape) for weight in template.trainable_variables]


def align_layers(template: Any, model: Any) -> list[Any]:
    """The model's layers in the order of the template's.

    None stands for a Dropout or an Embedding that it lacks, and for the layers of the hidden ones that it
    lacks.
    """
    n_dense = len(dense_of(template))
    missing = missing_layers(n_dense, n_dense - len(dense_of(model)))
    layers = iter([*flatten_layers(model), None])
    layer = next(layers)
    aligned_layers: list[Any] = []
    for number, template_layer in numbered_layers(template):
        is_absent = type(template_layer) in _OPTIONAL and type(layer) is not type(template_layer)
        is_missing = number in missing or is_absent
        aligned_layers.append(None if is_missing else layer)
        layer = layer if is_missing else next(layers)
    return aligned_layers


def _config(model: Any) -> dict[str, Any]:
    config = json.loads(json.dumps(config_of(model), default=lambda number: number.item()))  # NumPy's numbers
    for layer in _layer_configs(config):
        layer.pop("build_config", None)
        if layer["class_name"] in ("Activation", "Dense", ParametricActivation.__name__):
            layer["config"].setdefault("activity_regularizer", None)  # Keras leaves it out where it is None
    if "build_input_shape" in config["model"]:
        config["model"]["build_input_shape"][0] = None
    return config


def _layer_configs(config: dict[str, Any]) -> list[dict[str, Any]]:
    return config["model"]["layers"]


def _layer_names(layers: list[dict[str, Any]]) -> set[str]:
    return {layer["config"]["name"] for layer in layers}


def _compiled_parts(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The configs of the optimizer and of the losses that are objects."""
    losses = config["compile"]["loss"]
    parts = [losses] if isinstance(losses, dict) and "class_name" in losses else keras.tree.flatten(losses)
    return [part for part in (config["compile"]["optimizer"], *parts) if isinstance(part, dict)]


def _has_controllable_rates(model: Any) -> bool:
    """Whether the rates of all of the model's Dropout layers can be arguments of the step."""
    dropouts = [layer for layer in flatten_layers(model) if type(layer) is keras.layers.Dropout]
    return len(dropouts) == len(controllable_dropouts(model))


def _numbers_in(part: dict[str, Any], rates: bool) -> list[str]:
    """The names in a config whose values are only numbers, or L1 and L2 penalties.

    `rates` says whether those of Dropout layers are among them.
    """
    options = part["config"]
    if is_optimizer(part):
        return [name for name in HYPERPARAMETERS if name in options]
    if part["class_name"] == "Dropout":
        return ["rate"] if rates else []
    if part["class_name"] == LearnedScale.__name__:
        return ["rate_factor"]
    penalties = [name for name in options if name.endswith("_regularizer") and _is_penalty(options[name])]
    return [*penalties, *[name for name in ("label_smoothing",) if name in options]]


def _is_penalty(regularizer: Any) -> bool:
    return regularizer is None or (
        regularizer.get("module") == "keras.regularizers" and regularizer["class_name"] in _REGULARIZERS
    )


def _is_optional(layer: dict[str, Any]) -> bool:
    return layer["class_name"] == "Dropout"


def _without_dropout(model: Any, layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers that a model has whatever its rates: those of a Sequential without its Dropout layers."""
    return [layer for layer in layers if not _is_optional(layer)] if _is_chain(model) else layers


def _merged_layers(model: Any, lists: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The layers of configs of which the first is the deepest."""
    rates = _has_controllable_rates(model)
    if not _is_chain(model):
        return [_merged(layers, rates) for layers in zip(*lists, strict=True)]
    parts = [hidden_layers_of(layers) for layers in lists]
    n_parts = len(parts[0])
    aligned = [[*own[:-1], *[[]] * (n_parts - len(own)), own[-1]] for own in parts]
    merged: list[dict[str, Any]] = []
    for alike in zip(*aligned, strict=True):
        queues = [deque(part) for part in alike if part]
        while any(queues):
            with_dropout = [queue for queue in queues if queue and _is_optional(queue[0])]
            merged.append(_merged([queue.popleft() for queue in with_dropout or queues], rates))
            if with_dropout:
                merged[-1]["config"]["name"] = f"dropout_before_layer_{len(merged)}"  # unlike any other name
    return merged


def _merged(layers: Sequence[dict[str, Any]], rates: bool) -> dict[str, Any]:
    return {**layers[0], "config": layers[0]["config"] | _merged_numbers(layers, rates)}


def _merged_numbers(parts: Sequence[dict[str, Any]], rates: bool) -> dict[str, Any]:
    """The numbers of several configs as one: a placeholder where any of them is not zero."""

    def merged(name: str) -> Any:
        values = [part["config"][name] for part in parts]
        if name.endswith("_regularizer"):
            return _merged_penalty(values)
        return next((PLACEHOLDER for value in values if value), values[0])

    return {name: merged(name) for name in _numbers_in(parts[0], rates)}


def _merged_penalty(penalties: Sequence[Any]) -> Any:
    configs = [penalty["config"] for penalty in penalties if penalty]
    if not configs:
        return None
    numbers = {
        name: PLACEHOLDER if any(config.get(name) for config in configs) else 0.0 for name in OF_REGULARIZERS
    }
    return keras.saving.serialize_keras_object(keras.regularizers.L1L2(**numbers))
