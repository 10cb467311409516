"""Properties of a model's layers."""

from typing import Any

import keras

from kerashp._compat.keras import calls_of, flatten_layers


def is_of_keras(item: Any) -> bool:
    """Whether Keras defines a class, a function or the class of an object."""
    return str(getattr(item, "__module__", "")).startswith("keras.")


def is_known(item: Any) -> bool:
    """Whether Keras defines a class or a function, or kerashp does among its layers."""
    return is_known_module(str(getattr(item, "__module__", "")))


def is_known_module(name: str) -> bool:
    """Whether a module is of Keras, or of kerashp's layers."""
    return f"{name}.".startswith(("keras.", "kerashp.layers."))


def is_plain(model: Any) -> bool:
    """Whether the model is a Sequential or a functional one, not of a class of the user's own."""
    return type(model) is keras.Sequential or (is_of_keras(type(model)) and bool(model.inputs))


def is_of_layers(model: Any) -> bool:
    """Whether the model is plain, and only layers compute in it."""
    operations = getattr(model, "operations", [])  # a Sequential has none to name
    return is_plain(model) and all(isinstance(operation, keras.Layer) for operation in operations)


def leaf_layers(model: Any) -> list[Any]:
    """All layers inside a model, at any depth, that are no models."""
    return [layer for layer in flatten_layers(model) if not isinstance(layer, keras.Model)]


def has_batch_statistics(model: Any) -> bool:
    """Whether a layer computes with the mean of a batch's rows."""
    return any(type(layer) is keras.layers.BatchNormalization for layer in flatten_layers(model))


def dropouts_of(model: Any) -> dict[Any, tuple[int, ...]]:
    """The Dropout layers whose kept units are drawn outside of the step, and the shape of a row of each."""
    return {layer: shape for layer, shape in controllable_dropouts(model).items() if layer.rate > 0}


def controllable_dropouts(model: Any) -> dict[Any, tuple[int, ...]]:
    """The Dropout layers whose kept units can be drawn outside, whatever their rate, and a row's shape.

    Those are the layers that a Sequential or functional model calls once, on known shapes.
    """
    nodes = [node for node in calls_of(model) if type(node.operation) is keras.layers.Dropout]
    called = [node.operation for node in nodes]
    return {
        node.operation: tuple(node.outputs[0].shape[1:])
        for node in sorted(nodes, key=lambda node: model.layers.index(node.operation))
        if called.count(node.operation) == 1
        and node.operation.noise_shape is None
        and None not in node.outputs[0].shape[1:]
    }
