"""The identity of a model's graph: what two models must share to be trained by one compiled function."""

import json
import re
from collections.abc import Sequence
from types import FunctionType
from typing import Any

import keras

from kerashp._compat.keras import compile_config, flatten_layers, producer
from kerashp.training._keras.layers import is_known, is_known_module, is_plain
from kerashp.training._keras.numbers import Number, left_out, shared_places
from kerashp.training._keras.optimizers import (
    excluded_from_weight_decay,
    is_optimizer,
    without_learning_rate,
)
from kerashp.training._runtime.isolation import without_lambda_warnings

_NUMBERED_INPUT = re.compile(r"input_layer(?:_(\d+))?")  # Keras' names of inputs that the user has not named
_NAMING = (
    "name",
    "keras_history",
    "input_layers",
    "output_layers",
)  # the keys of a config that hold layers' names


def identity(model: Any, numbers: list[Number]) -> str | None:
    """The model's graph, optimizer, loss and metrics, without learning rate, numbers and initial values.

    None where its config does not describe them, because the model contains code of the user's own.
    """
    with left_out(model, numbers):
        config = config_without_own_code(model)
    if config is None:
        return None
    config["model"] = renamed(config["model"], names_by_place(model, flatten_layers(model)))
    variables = [
        (tuple(v.shape), v.dtype, v.trainable) for v in (*model.variables, *model.optimizer.variables)
    ]
    parts = [without_initial_values(config), variables, *beside_config(model, numbers)]
    return json.dumps(parts, sort_keys=True, default=repr)


def beside_config(model: Any, numbers: list[Number]) -> list[Any]:
    """What the config of a model does not say of its graph, and the settings of the process."""
    return [
        shared_places(model, numbers),
        excluded_from_weight_decay(model),
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.image_data_format(),
    ]


def config_without_own_code(model: Any) -> dict[str, Any] | None:
    """The configs as `config_of` gives them; None where there is code of the user's own in the model."""
    if not is_plain(model) or any(map(_has_own_code, flatten_layers(model))):
        return None
    try:
        config = config_of(model)
    except (NotImplementedError, OSError, TypeError, ValueError):
        return None
    return config if _has_only_known_classes(config) else None


def config_of(model: Any) -> dict[str, Any]:
    """The configs of the model and of the arguments of `compile`."""
    with without_lambda_warnings():
        return {"model": model.get_config(), "compile": model.get_compile_config()}


def can_be_made_from_config(model: Any) -> bool:
    """Whether a model made from this model's config is like it.

    It is not where weights are excluded from weight decay, nor where `compile` got a lambda, which Keras does
    not load.
    """
    compiled = keras.tree.flatten(compile_config(model))
    has_lambda = any(getattr(argument, "__name__", None) == "<lambda>" for argument in compiled)
    return not has_lambda and not any(excluded_from_weight_decay(model))


def _has_own_code(layer: Any) -> bool:
    """Whether an attribute is a function of the user's, which a config may name like one of Keras'."""
    functions = [value for value in vars(layer).values() if isinstance(value, FunctionType)]
    return "call" in vars(layer) or not all(map(is_known, functions))


def names_by_place(model: Any, layers: Sequence[Any]) -> dict[str, str]:
    """Names by place for those layers whose names neither data nor logs use."""
    inputs, outputs = [_end_names(tensors) for tensors in (model.inputs, model.outputs)]
    ends = [*([] if _have_default_names(inputs) else inputs), *outputs]
    return {layer.name: f"layer {index}" for index, layer in enumerate(layers) if layer.name not in ends}


def _end_names(tensors: Any) -> list[str]:
    """The names of several inputs or outputs; none for a single one, whose name is not used."""
    names = [producer(tensor).name for tensor in keras.tree.flatten(tensors)]
    return names if len(names) > 1 else []


def _have_default_names(names: Sequence[str]) -> bool:
    """Whether the inputs have Keras' default names in their order: then data have this order, too."""
    matches = [_NUMBERED_INPUT.fullmatch(name) for name in names]
    numbers = [int(match[1] or 0) for match in matches if match]
    return len(numbers) == len(names) and numbers == sorted(numbers)


def renamed(config: Any, names: dict[str, str]) -> Any:
    """The config with layers named by place: Keras goes on counting names from one model to the next."""
    if isinstance(config, dict):
        return {
            key: _all_renamed(value, names) if key in _NAMING else renamed(value, names)
            for key, value in config.items()
        }
    return [renamed(value, names) for value in config] if isinstance(config, list | tuple) else config


def _all_renamed(config: Any, names: dict[str, str]) -> Any:
    if isinstance(config, list | tuple):
        return [_all_renamed(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config


def _has_only_known_classes(config: Any) -> bool:
    if isinstance(config, list | tuple):
        return all(map(_has_only_known_classes, config))
    if not isinstance(config, dict):
        return True
    module = config.get("module", "keras") if "class_name" in config else "keras"
    return is_known_module(str(module)) and all(map(_has_only_known_classes, config.values()))


def without_initial_values(config: Any) -> Any:
    """The config without what the model's variables hold: initial values and learning rate."""
    if isinstance(config, list | tuple):
        return [without_initial_values(value) for value in config]
    if not isinstance(config, dict):
        return config
    items = {
        key: without_initial_values(value)
        for key, value in config.items()
        if not key.endswith("_initializer") and key != "seed"
    }
    return without_learning_rate(items) if is_optimizer(items) else items
