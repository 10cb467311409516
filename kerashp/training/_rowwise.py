"""Whether a batch may be filled up with rows that do not count."""

from typing import Any

import keras

_FAMILIES = (
    "core",
    "activations",
    "convolutional",
    "pooling",
    "reshaping",
    "merging",
    "regularization",
    "attention",
    "rnn",
)
_ALSO = (
    keras.layers.BatchNormalization,  # where the mask reaches it
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    keras.layers.Rescaling,
    keras.layers.RMSNormalization,
    keras.layers.UnitNormalization,
)
_NOT = (keras.layers.ActivityRegularization, keras.layers.Lambda)
# Through these, in a Sequential model, a mask of rows comes to a BatchNormalization.
_HAND_ON = (
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.LayerNormalization,
    keras.layers.LeakyReLU,
    keras.layers.Normalization,
    keras.layers.ReLU,
)


def is_rowwise(model: Any) -> bool:
    """Whether the model's outputs, loss and metrics over some rows can be had from a batch that has more.

    So it is where every layer treats each row by itself, or is told which rows are real, and loss and metrics
    are Keras' own, which weigh rows. Otherwise a short last batch is trained by itself.
    """
    if (
        len(keras.tree.flatten(model.outputs)) != 1
        or type(model).compute_loss is not keras.Model.compute_loss
    ):
        return False
    if type(model).compute_metrics is not keras.Model.compute_metrics or not _own_criteria(model):
        return False
    layers = [
        layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, keras.Model)
    ]
    return all(map(_treats_rows_alone, layers)) and (_mask_arrives(model) or not has_batch_statistics(model))


def _treats_rows_alone(layer: Any) -> bool:
    parts = type(layer).__module__.split(".")
    known = parts[:3] == ["keras", "src", "layers"] and (parts[3] in _FAMILIES or type(layer) in _ALSO)
    return (
        known
        and type(layer) not in _NOT
        and getattr(layer, "activity_regularizer", None) is None
        and not getattr(layer, "stateful", False)
        and not isinstance(layer, keras.layers.Wrapper)
    )


def has_batch_statistics(model: Any) -> bool:
    """Whether a layer computes with the mean of a batch's rows."""
    return any(type(layer) is keras.layers.BatchNormalization for layer in model._flatten_layers())


def _mask_arrives(model: Any) -> bool:
    return type(model) is keras.Sequential and all(type(layer) in _HAND_ON for layer in model.layers)


def _own_criteria(model: Any) -> bool:
    compiled = model._compile_metrics
    listed = (
        []
        if compiled is None
        else [m for m in (*compiled._flat_metrics, *compiled._flat_weighted_metrics) if m]
    )
    metrics = [metric for metrics in listed for metric in metrics.metrics]
    losses = [loss.loss for loss in model._compile_loss._flat_losses or []] if model._compile_loss else []
    functions = [
        getattr(criterion, "fn", getattr(criterion, "_fn", None)) for criterion in (*losses, *metrics)
    ]
    return (
        len(losses) == 1
        and all(_of_keras(type(c)) for c in (*losses, *metrics))
        and all(map(_of_keras, functions))
    )


def _of_keras(thing: Any) -> bool:
    return thing is None or str(getattr(thing, "__module__", "")).startswith("keras.")
