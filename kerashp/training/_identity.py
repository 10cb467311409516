"""What two models must have in common to be trained by one compiled function."""

import json
import warnings
from typing import Any

import keras

from kerashp.training._layers import is_plain
from kerashp.training._numbers import Number, left_out


def identity(model: Any, numbers: list[Number]) -> str | None:
    """What the model computes, its learning rate, numbers and initial values left out.

    None where its config does not tell, because code of the user's own is in it.
    """
    if not is_plain(model):
        return None
    if any("call" in vars(layer) for layer in model._flatten_layers()):
        return None
    try:
        with left_out(model, numbers), warnings.catch_warnings(action="ignore"):
            # that a lambda will not load
            config = {"model": model.get_config(), "compile": model.get_compile_config()}
    except (NotImplementedError, TypeError, ValueError):
        return None
    if not _all_of_keras(config):
        return None
    if len(keras.tree.flatten(model.outputs)) == 1:
        config["model"] = renamed(config["model"], _names(model))
    variables = [
        (tuple(v.shape), v.dtype, v.trainable) for v in (*model.variables, *model.optimizer.variables)
    ]
    parts = [
        described(config),
        variables,
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.image_data_format(),
    ]
    return json.dumps(parts, sort_keys=True, default=repr)


def _names(model: Any) -> dict[str, str]:
    return {layer.name: f"layer {index}" for index, layer in enumerate(model._flatten_layers())}


def renamed(config: Any, names: dict[str, str]) -> Any:
    """Layers by their place: Keras counts its layers' names on from one model to the next."""
    if isinstance(config, dict):
        return {key: renamed(value, names) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [renamed(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config


def _all_of_keras(config: Any) -> bool:
    if isinstance(config, list | tuple):
        return all(map(_all_of_keras, config))
    if not isinstance(config, dict):
        return True
    module = config.get("module", "keras") if "class_name" in config else "keras"
    return str(module).split(".")[0] == "keras" and all(map(_all_of_keras, config.values()))


def described(config: Any) -> Any:
    """The config without what is among a model's variables: initial values and learning rate."""
    if isinstance(config, list | tuple):
        return [described(value) for value in config]
    if not isinstance(config, dict):
        return config
    own = {
        key: described(value)
        for key, value in config.items()
        if not key.endswith("_initializer") and key != "seed"
    }
    return _without_rate(own)


def _without_rate(config: dict[str, Any]) -> dict[str, Any]:
    """An optimizer without what is among its variables, and its name."""
    if str(config.get("module")) != "keras.optimizers":
        return config
    inner = dict(config["config"])
    inner.pop("name", None)
    if isinstance(inner.get("learning_rate"), float):
        inner["learning_rate"] = "a variable"
    return {**config, "config": inner}
