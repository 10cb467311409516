"""The peculiarities of Keras' optimizers: refusals, numbers, learning rate, configs, variables and updates.

Two of them name the backend, and stay in `_runtime/tensorflow.py` and `_runtime/jax.py`: `stateless`, by
which an optimizer computes without variables, and `UNMATCHED`, the optimizers that a backend refuses.
"""

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

from kerashp._compat.keras_optimizers import is_decayed, optimizers_of_optimizers, rate_of
from kerashp.training._runtime.backend import backend

HYPERPARAMETERS = ("momentum", "beta_1", "beta_2", "rho", "weight_decay")  # numbers only: see `numbers.py`


def optimizer_obstacle(optimizer: Any) -> str | None:
    """Why a training with this optimizer cannot be compiled; None where it can."""
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        return f"the optimizer must be a keras.optimizers.Optimizer; got {optimizer!r}"
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return "LossScaleOptimizer decides at every batch whether to update the weights"
    if isinstance(optimizer, optimizers_of_optimizers()):
        return "MultiOptimizer contains other optimizers"
    if isinstance(optimizer, backend().UNMATCHED):
        name = type(optimizer).__name__
        return f"{name} gives other numbers in compiled epochs than in Model.fit on this backend"
    return None


# The learning rate.


def inner_optimizer(model: Any) -> Any:
    """The model's optimizer, without the LossScaleOptimizer around it."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def learning_rate_of(optimizer: Any) -> float:
    """The rate of the optimizer's next step."""
    return float(ops.convert_to_numpy(optimizer.learning_rate))


def step_count(model: Any) -> int:
    """How many batches the model's optimizer has seen."""
    return int(ops.convert_to_numpy(inner_optimizer(model)._iterations))


# In configs.


def is_optimizer(config: dict[str, Any]) -> bool:
    """Whether a config is of an optimizer."""
    return str(config.get("module")) == "keras.optimizers"


def without_learning_rate(config: dict[str, Any]) -> dict[str, Any]:
    """An optimizer's config without its name and its learning rate, unless that is a schedule."""
    options = dict(config["config"])
    options.pop("name", None)
    if isinstance(options.get("learning_rate"), float):
        options["learning_rate"] = "a variable"
    return {**config, "config": options}


def excluded_from_weight_decay(model: Any) -> list[bool]:
    """Which weights the optimizer leaves out of weight decay, which its config does not say."""
    return [not is_decayed(model.optimizer, weight) for weight in model.trainable_variables]


# Variables and updates.


def build_optimizer(model: Any) -> None:
    """Build the model's optimizer, if it is not built."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def slots_by_weight(model: Any) -> dict[tuple[int | None, str], Any]:
    """The optimizer's variables, by the index of their weight and their name, or by position."""
    build_optimizer(model)
    prefixes = {f"{v.path.replace('/', '_')}_": index for index, v in enumerate(model.trainable_variables)}
    if len(prefixes) < len(model.trainable_variables):  # paths that are not unique
        return {(None, str(index)): variable for index, variable in enumerate(model.optimizer.variables)}
    slots: dict[tuple[int | None, str], Any] = {}
    for variable in model.optimizer.variables:
        prefix = max((p for p in prefixes if variable.name.startswith(p)), key=len, default=None)
        if prefix is None:
            slots[None, f"{sum(weight is None for weight, _ in slots)}"] = variable
        else:
            slots[prefixes[prefix], variable.name.removeprefix(prefix)] = variable
    return slots


class _Assignments(keras.StatelessScope):
    """The values that variables are given, where a condition is true: otherwise each keeps its own.

    A later value can then be computed from an earlier one in its place: chosen between at the end, both would
    be computed from the first values, and those be copied.
    """

    def __init__(self, state_mapping: Iterable[tuple[Any, Any]], condition: Any):
        super().__init__(state_mapping=state_mapping)
        self._condition = condition

    def add_update(self, update: tuple[Any, Any]) -> None:
        variable, value = update
        if self._condition is not None:
            value = ops.where(self._condition, value, self.get_current_value(variable))
        super().add_update((variable, value))


def updated(
    model: Any, variables: list[Any], gradients: list[Any], weights: list[Any], rate: Any, condition: Any
) -> tuple[list[Any], list[Any]]:
    """The weights and the optimizer's variables after one step, at this learning rate if it is not None.

    They stay as they are where the condition, if there is one, is false. To be called inside the backend's
    `stateless(model.optimizer)`.
    """
    optimizer = model.optimizer
    pairs = [*zip(model.trainable_variables, weights, strict=True)]
    pairs += zip(optimizer.variables, variables, strict=True)
    with _Assignments(pairs, condition) as scope:
        if rate is not None:
            scope.add_update((rate_of(optimizer), ops.cast(rate, rate_of(optimizer).dtype)))
        optimizer.apply(gradients)
    moved = [scope.get_current_value(variable) for variable in model.trainable_variables]
    return moved, [scope.get_current_value(variable) for variable in optimizer.variables]


def changes_final_weights(optimizer: Any) -> bool:
    """Whether the optimizer may change the weights when training ends, as all do with `use_ema`."""
    method = type(optimizer).finalize_variable_values
    return optimizer.use_ema or method is not keras.optimizers.Optimizer.finalize_variable_values


def ignores_padding(optimizer: Any) -> bool:
    """Whether the optimizer moves a weight alike where zeros are added to its array."""
    replaced = {"name": "optimizer", "learning_rate": 0.01, "gradient_accumulation_steps": None}
    config = json.dumps(optimizer.get_config() | replaced, default=repr)
    return _ignores_padding(optimizer.__class__, config)


@lru_cache
def _ignores_padding(optimizer_class: Any, config: str) -> bool:
    """Found by trying it."""
    start, *gradients = np.random.default_rng(0).normal(size=(4, 3, 4)).astype("float32")

    def moved(change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        optimizer = optimizer_class.from_config(json.loads(config))
        weight = keras.Variable(change(start))
        for gradient in gradients:
            optimizer.apply([ops.convert_to_tensor(change(gradient))], [weight])
        return ops.convert_to_numpy(weight)

    expected = moved(lambda array: array)
    with_zeros = moved(lambda array: np.pad(array, [(0, 2), (0, 2)]))
    return not np.array_equal(expected, start) and np.allclose(with_zeros[:3, :4], expected, rtol=1e-5)
