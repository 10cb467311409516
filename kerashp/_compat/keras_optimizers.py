"""Names of Keras' optimizers that are private, or that not all supported versions have."""

from collections.abc import MutableMapping
from typing import Any

import keras
from keras.src.backend.common.stateless_scope import get_stateless_scope
from keras.src.optimizers import base_optimizer

VARIABLE_KEY = "_var_key"  # the method of an optimizer that gives the key of a weight among its own variables
_BASE = base_optimizer.BaseOptimizer


def optimizers_of_optimizers() -> tuple[type, ...]:
    """The optimizers with optimizers inside: `MultiOptimizer`, since Keras 3.15; a tuple for `isinstance`."""
    return tuple(filter(None, [getattr(keras.optimizers, "MultiOptimizer", None)]))


def schedule_free_optimizers() -> tuple[type, ...]:
    """The optimizers that average weights instead of a schedule: `ScheduleFreeAdamW`, since Keras 3.14."""
    return tuple(filter(None, [getattr(keras.optimizers, "ScheduleFreeAdamW", None)]))


def rate_of(optimizer: Any) -> Any:
    """The variable of the learning rate, or the schedule: `_learning_rate`.

    `learning_rate` of an optimizer with a schedule is the rate of the next step.
    """
    return getattr(optimizer, "_learning_rate", None)


def is_decayed(optimizer: keras.optimizers.Optimizer, weight: keras.Variable) -> bool:
    """Whether weight decay applies to a weight: `_use_weight_decay`."""
    return bool(optimizer._use_weight_decay(weight))


def keys_of_weights(optimizer: keras.optimizers.Optimizer) -> dict[int, Any]:
    """The key of each trainable weight, by the weight's id: `_var_key` of `_trainable_variables`."""
    return {id(weight): optimizer._var_key(weight) for weight in optimizer._trainable_variables}


def place_of_ops() -> tuple[MutableMapping[str, Any], str]:
    """The namespace and the name by which the base class of optimizers looks up `keras.ops`."""
    return vars(base_optimizer), "ops"


def stateless_values() -> dict[int, Any]:
    """The values of variables, by their ids, inside `keras.StatelessScope`: its `state_mapping`."""
    values: dict[int, Any] = get_stateless_scope().state_mapping
    return values


class BackendNeutralOptimizer(keras.optimizers.Optimizer):
    """The methods of `BaseOptimizer`, which TensorFlow's class of optimizers refuses or overrides."""

    assign = _BASE.assign
    assign_add = _BASE.assign_add
    assign_sub = _BASE.assign_sub
    _apply_weight_decay = _BASE._apply_weight_decay
    _backend_update_step = _BASE._backend_update_step
    _backend_increment_gradient_accumulators = _BASE._backend_increment_gradient_accumulators
    _overwrite_model_variables_with_average_value = _BASE._overwrite_model_variables_with_average_value
