"""Names of Keras that are private, or that not all supported versions have."""

import keras

from kerashp._compat._numbers import numbers


def version() -> tuple[int, ...]:
    """Keras' version as numbers: (3, 13, 2)."""
    return numbers(keras.__version__)


def optimizers_of_optimizers() -> tuple[type, ...]:
    """The optimizers with optimizers inside: `MultiOptimizer`, since Keras 3.15; a tuple for `isinstance`."""
    return tuple(filter(None, [getattr(keras.optimizers, "MultiOptimizer", None)]))


def schedule_free_optimizers() -> tuple[type, ...]:
    """The optimizers that average weights instead of a schedule: `ScheduleFreeAdamW`, since Keras 3.14."""
    return tuple(filter(None, [getattr(keras.optimizers, "ScheduleFreeAdamW", None)]))


def flatten_layers(model: keras.Layer, *, include_self: bool = True) -> list[keras.Layer]:
    """The model or layer itself and all layers inside it, at any depth: `Layer._flatten_layers`."""
    return list(model._flatten_layers(include_self=include_self))
