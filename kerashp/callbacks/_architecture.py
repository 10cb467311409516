"""The architecture of a model as text, which two models must share for one to load the other's weights."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerashp._compat.keras import flatten_layers, is_functional, own_variables
from kerashp.callbacks._manifest import CheckpointError

_IGNORED = ("name", "trainable", "dtype", "seed", "inbound_nodes")


def architecture(model: Any) -> list[str]:
    """A line for the optimizer and for each layer: its class, options, weights' shapes and inputs.

    Names and floats (rates, penalties) are left out, since they may differ, except for the scale of a
    Rescaling.
    """
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    line = f"{type(optimizer).__name__} with {len(optimizer.variables)} variables"
    layers = flatten_layers(model, include_self=False)
    graphs = [graph for graph in (model, *layers) if is_functional(graph)]
    return [line, *map(_layer, layers), *chain.from_iterable(map(_connections, graphs))]


def check_architecture(model: Any, saved: Sequence[str], path: Path) -> None:
    """Refuse to load the weights of another architecture, `saved` in its lines, from this path.

    Raises
    ------
    CheckpointError
        It says where the two differ first.
    """
    difference = first_difference(saved, architecture(model))
    if difference:
        raise CheckpointError(
            f"{path} is of another model: {difference}. Build and compile the model as it was saved, or save "
            "this one's checkpoints in another folder"
        )


def first_difference(saved: Sequence[str], present: Sequence[str]) -> str | None:
    """The first of the saved lines that differs from the model's; None where all are the same."""
    for saved_line, line in zip_longest(saved, present, fillvalue="nothing"):
        if saved_line != line:
            return f"{saved_line} was saved, and the model has {line}"
    return None


def _layer(layer: Any) -> str:
    shapes = [str(tuple(variable.shape)) for variable in own_variables(layer)]
    options = "" if isinstance(layer, keras.Model) else ", ".join(_options(layer))
    return " ".join([f"{type(layer).__name__}({options})", *shapes])


def _options(layer: Any) -> Iterator[str]:
    """The entries of a layer's config that are strings, whole numbers or sequences of them."""
    try:
        config = layer.get_config()
    except NotImplementedError:  # a class of the user's own
        return
    for name, value in config.items():
        items = value if isinstance(value, list | tuple) else [value]
        if name not in _IGNORED and all(isinstance(item, str | int) for item in items):
            yield f"{name}={value}"
    if isinstance(layer, keras.layers.Rescaling):  # another scale of outputs is another model
        yield from (f"{name}={np.asarray(getattr(layer, name), float)}" for name in ("scale", "offset"))


def _connections(model: Any) -> Iterator[str]:
    """The inputs of each layer of a functional model, by the positions of layers."""
    config = model.get_config()
    if "layers" not in config:  # a class of the user's own with another config
        return
    positions = {layer["name"]: index for index, layer in enumerate(config["layers"])}

    def places(tensors: Any) -> str:
        text = json.dumps(tensors, default=str, ensure_ascii=False)
        references = re.findall(r'\["([^"]+)", (\d+), (\d+)\]', text)
        return ", ".join(f"{positions.get(name)}.{node}.{tensor}" for name, node, tensor in references)

    for index, layer in enumerate(config["layers"]):
        yield f"layer {index} that takes [{places(layer['inbound_nodes'])}]"
    yield f"inputs [{places(config['input_layers'])}], outputs [{places(config['output_layers'])}]"
