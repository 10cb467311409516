"""The settings of a training, to omit advice that is followed already."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from sklearn import preprocessing
from sklearn.base import is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline

from kerashp._compat.keras_optimizers import rate_of
from kerashp.callbacks import LearningRateWarmup
from kerashp.diagnostics._learning_curves.findings import (
    AVERAGE,
    CHECK_TARGETS,
    CLIP,
    MOMENTUM,
    REGULARISE,
    SCALE,
    TRAIN_LONGER,
    WARM_UP,
    WEAKEN,
)
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._data.losses import loss_of
from kerashp.estimators._nesting import innermost, wrappers_of
from kerashp.layers import PiecewiseLinearEncoding, RobustScaling
from kerashp.schedules import CosLog, LinearWarmup
from kerashp.training._keras.hooks import flat_callbacks
from kerashp.training._keras.layers import leaf_layers

_SCALERS = (
    preprocessing.StandardScaler,
    preprocessing.MinMaxScaler,
    preprocessing.MaxAbsScaler,
    preprocessing.RobustScaler,
    preprocessing.PowerTransformer,
    preprocessing.QuantileTransformer,
    preprocessing.Normalizer,
)
_SCALING_LAYERS = (
    keras.layers.Normalization,
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Rescaling,
    PiecewiseLinearEncoding,
    RobustScaling,
)
_CHANGE_NO_SCALE = (keras.layers.InputLayer, keras.layers.Flatten, keras.layers.Reshape)
_DROPS = (keras.layers.Dropout, keras.layers.AlphaDropout, keras.layers.GaussianDropout)
_PENALTIES = ("kernel_regularizer", "bias_regularizer", "activity_regularizer", "embeddings_regularizer")


@dataclass(frozen=True)
class Settings:
    """The known settings of a training; all are False without a model or an estimator.

    Attributes
    ----------
    scaled_inputs, scaled_targets : bool
        Whether they are scaled; targets that are classes count as scaled.
    momentum, clipping, averaging, warmup, early_stopping : bool
        Whether the optimizer, the estimator or its callbacks provide it.
    dropout, penalties : bool
        Whether the model has dropout, or penalties of weights or activities.
    model : bool
        Whether the model is known.
    """

    scaled_inputs: bool = False
    scaled_targets: bool = False
    momentum: bool = False
    clipping: bool = False
    averaging: bool = False
    warmup: bool = False
    early_stopping: bool = False
    dropout: bool = False
    penalties: bool = False
    model: bool = False


def settings_of(model: Any, outer: Any = None) -> Settings:
    """The settings of a Keras model and of an estimator in its pipelines; both may be None."""
    estimator = innermost(outer)
    callbacks = flat_callbacks(getattr(estimator, "callbacks", None))
    has_model = isinstance(model, keras.Model)
    optimizer = getattr(model, "optimizer", None)
    layers = leaf_layers(model) if has_model else []
    return Settings(
        scaled_inputs=_scales_inputs(outer) or _begins_with_scaling(layers),
        scaled_targets=_scales_targets(outer)
        or bool(getattr(estimator, "normalize_target", False))
        or _classifies(model, estimator),
        momentum=bool(getattr(optimizer, "momentum", 0)) or hasattr(optimizer, "beta_1"),
        clipping=any(getattr(optimizer, name, None) for name in ("clipnorm", "clipvalue", "global_clipnorm")),
        averaging=bool(getattr(optimizer, "use_ema", False)),
        warmup=bool(getattr(estimator, "warmup_epochs", 0))
        or getattr(estimator, "schedule", None) == "coslog4"
        or isinstance(rate_of(optimizer), CosLog | LinearWarmup)
        or _has(callbacks, LearningRateWarmup),
        early_stopping=bool(getattr(estimator, "early_stopping", False))
        or _has(callbacks, keras.callbacks.EarlyStopping),
        dropout=any(isinstance(layer, _DROPS) or _has_recurrent_dropout(layer) for layer in layers),
        penalties=any(getattr(layer, name, None) for layer in layers for name in _PENALTIES),
        model=has_model,
    )


def applicable_actions(actions: Iterable[str], settings: Settings) -> tuple[str, ...]:
    """The actions that apply to a training with these settings, reworded if only a part of one does."""
    applicable = [_applicable_part(action, settings) for action in actions]
    return tuple(action for action in applicable if action)


def _applicable_part(action: str, settings: Settings) -> str | None:
    """The part of an action that applies; None if nothing of it does."""
    if action == SCALE:
        return _scaling_advice(settings)
    if action == REGULARISE:
        return _regularisation_advice(settings)
    if action == WEAKEN and settings.model:
        means = [
            name for name, used in (("L1 and L2", settings.penalties), ("dropout", settings.dropout)) if used
        ]
        return f"reduce regularisation ({', '.join(means)})" if means else None
    changes: dict[str, tuple[bool, str | None]] = {
        MOMENTUM: (settings.momentum, None),
        CLIP: (settings.clipping, "clip the gradients to a smaller norm"),
        WARM_UP: (settings.warmup, None),
        AVERAGE: (settings.averaging, "use larger batches"),
        TRAIN_LONGER: (settings.early_stopping, "train for more epochs"),
        CHECK_TARGETS: (
            settings.scaled_targets,
            CHECK_TARGETS.replace(", suit", " and suit").replace(", and are scaled", ""),
        ),
    }
    applies, replacement = changes.get(action, (False, None))
    return replacement if applies else action


def _scaling_advice(settings: Settings) -> str | None:
    if settings.scaled_inputs and settings.scaled_targets:
        return None
    if settings.scaled_inputs:
        which = "targets" if settings.model else "targets of a regression"
        return f"scale the {which} to mean 0 and standard deviation 1"
    return "scale the inputs to mean 0 and standard deviation 1" if settings.scaled_targets else SCALE


def _regularisation_advice(settings: Settings) -> str:
    means = [
        *([] if settings.early_stopping else ["early stopping"]),
        "more dropout" if settings.dropout else "dropout",
        "a stronger L2" if settings.penalties else "L2",
        "fewer or narrower layers",
    ]
    return f"regularise: {', '.join(means)}"


def _has(callbacks: Sequence[Any], kind: type) -> bool:
    return any(isinstance(callback, kind) or callback is kind for callback in callbacks)


def _has_recurrent_dropout(layer: Any) -> bool:
    return any(
        isinstance(rate := getattr(layer, name, 0), float) and rate > 0
        for name in ("dropout", "recurrent_dropout")
    )


def _begins_with_scaling(layers: Sequence[Any]) -> bool:
    first = next((layer for layer in layers if not isinstance(layer, _CHANGE_NO_SCALE)), None)
    return isinstance(first, _SCALING_LAYERS)


def _scales_inputs(outer: Any) -> bool:
    """Whether a step before the last one is a scaler, or contains one."""
    steps = [
        step
        for pipeline in wrappers_of(outer)
        if isinstance(pipeline, Pipeline)
        for _, step in pipeline.steps[:-1]
    ]
    parts = [part for step in steps if hasattr(step, "get_params") for part in step.get_params().values()]
    return any(isinstance(part, _SCALERS) for part in [*steps, *parts])


def _scales_targets(outer: Any) -> bool:
    return any(
        isinstance(step, TransformedTargetRegressor)
        and (step.func is not None or step.transformer is not None)
        for step in wrappers_of(outer)
    )


def _classifies(model: Any, estimator: Any) -> bool:
    if isinstance(estimator, BaseKerasEstimator):
        return is_classifier(estimator)
    try:
        return "crossentropy" in loss_of(model).name or loss_of(model).margins
    except (AttributeError, ValueError):  # no model, or not a single loss
        return False
