"""Whether a batch may be filled up with rows of weight zero."""

from typing import Any

import keras
from keras import tree

from kerashp._compat.keras import (
    layer_family,
    losses_by_output,
    metrics_by_output,
    wrapped_function,
)
from kerashp.layers import FRONT_LAYERS, HIDDEN_LAYERS, HeadOutputs, HeadRescaling
from kerashp.training._keras.layers import has_batch_statistics, is_known, is_plain, leaf_layers

_FAMILIES = (
    "activations",
    "attention",
    "convolutional",
    "core",
    "merging",
    "pooling",
    "regularization",
    "reshaping",
    "rnn",
)
_OTHER_LAYERS = (
    keras.layers.BatchNormalization,  # where the mask reaches it
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    keras.layers.Rescaling,
    keras.layers.RMSNormalization,
    keras.layers.UnitNormalization,
    *FRONT_LAYERS,
    *HIDDEN_LAYERS,
    HeadOutputs,
    HeadRescaling,
)
_WEIGHED = (  # metrics that rows of weight zero do not change
    keras.metrics.AUC,
    keras.metrics.FBetaScore,
    keras.metrics.FalseNegatives,
    keras.metrics.FalsePositives,
    keras.metrics.Mean,
    keras.metrics.Precision,
    keras.metrics.Recall,
    keras.metrics.SensitivityAtSpecificity,
    keras.metrics.SpecificityAtSensitivity,
    keras.metrics.TrueNegatives,
    keras.metrics.TruePositives,
)
_OF_BATCHES = (keras.losses.circle, keras.losses.ctc, keras.losses.dice, keras.losses.tversky)
_EXCLUDED_LAYERS = (keras.layers.ActivityRegularization, keras.layers.Lambda)
# The layers of a Sequential model that pass a mask of rows on to a BatchNormalization.
_MASK_PASSING = (
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.LayerNormalization,
    keras.layers.LeakyReLU,
    keras.layers.Normalization,
    keras.layers.ReLU,
    *FRONT_LAYERS,
    *HIDDEN_LAYERS,
)


def is_rowwise(model: Any) -> bool:
    """Whether outputs, loss and metrics over some rows can be computed from a batch with more rows.

    That needs layers that treat each row by itself, or take a mask of the real rows, and a loss and metrics
    of Keras, which weigh rows. Otherwise a short last batch is trained by itself.
    """
    if not is_plain(model) or len(tree.flatten(model.outputs)) != 1 or not _criteria_weigh_rows(model):
        return False
    separately = all(map(_treats_rows_separately, leaf_layers(model)))
    return separately and (_mask_arrives(model) or not has_batch_statistics(model))


def predicts_by_row(model: Any) -> bool:
    """Whether a prediction for a row does not depend on the other rows of its batch."""
    return is_plain(model) and all(map(_computes_by_row, leaf_layers(model)))


def _treats_rows_separately(layer: Any) -> bool:
    return _computes_by_row(layer) and getattr(layer, "activity_regularizer", None) is None


def _computes_by_row(layer: Any) -> bool:
    family = layer_family(layer)
    is_listed = family in _FAMILIES or type(layer) in _OTHER_LAYERS
    return (
        is_listed
        and type(layer) not in _EXCLUDED_LAYERS
        and 0 not in tree.flatten(getattr(layer, "axis", None))  # the axis of rows
        and not getattr(layer, "stateful", False)
        and not isinstance(layer, keras.layers.Wrapper)
    )


def _mask_arrives(model: Any) -> bool:
    return type(model) is keras.Sequential and all(type(layer) in _MASK_PASSING for layer in model.layers)


def _criteria_weigh_rows(model: Any) -> bool:
    """Whether the loss and all metrics are of Keras or kerashp, and weigh rows."""
    losses = losses_by_output(model)
    metrics = [metric for groups in metrics_by_output(model) for group in groups for metric in group.metrics]
    if len(losses) != 1:
        return False
    if not all(isinstance(metric, _WEIGHED) for metric in metrics):
        return False
    criteria = [*losses, *metrics]
    functions = [wrapped_function(criterion) for criterion in criteria]
    if any(function in _OF_BATCHES for function in functions):
        return False
    return all(item is None or is_known(item) for item in [*map(type, criteria), *functions])
