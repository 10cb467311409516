"""The scale of a layer's outputs, gradients and kernel, and the initializer that would suit it."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras.src.initializers.random_initializers import compute_fans
from keras.src.utils.naming import to_snake_case

from kerashp.diagnostics._initialization.signal import Passed, is_activation, is_recurrent, kernel_of
from kerashp.models import suited_initializer

NEAR_LIMIT = 0.01  # of the range of an activation: outputs as near as this to one of its ends are saturated

_RANGES = {
    "tanh": (-1, 1),
    "hard_tanh": (-1, 1),
    "softsign": (-1, 1),
    "sigmoid": (0, 1),
    "hard_sigmoid": (0, 1),
}


@dataclass(frozen=True)
class LayerScale:
    """What a layer does to the signal.

    Attributes
    ----------
    name, activation : str
        The layer's, and its activation's ("linear" if it has none).
    mean, activation_scale : float
        Mean and root mean square of its outputs, over all rows and units.
    gradient_scale : float
        Root mean square of the loss's gradient with respect to its outputs.
    kernel_gradient_scale : float or None
        Root mean square of the loss's gradient with respect to its kernel; None without a kernel.
    dead : float
        Share of the units whose output is 0 for all rows.
    saturated : float or None
        Share of the outputs within a hundredth of the range from the ends of a bounded activation; None where
        the activation is not bounded.
    kernel_variance : float or None
        The mean square of the kernel.
    suited_initializer : str or None
        The initializer that keeps the scale through the activation that the kernel's outputs go through;
        None for recurrent layers, in which gates and steps decide the scale.
    suited_variance : float or None
        The variance that it gives a kernel of this shape.
    """

    name: str
    activation: str
    mean: float
    activation_scale: float
    gradient_scale: float
    kernel_gradient_scale: float | None
    dead: float
    saturated: float | None
    kernel_variance: float | None
    suited_initializer: str | None
    suited_variance: float | None

    def cells(self) -> tuple[str, ...]:
        """A row of a table with `COLUMNS`."""
        numbers = (self.activation_scale, self.gradient_scale, self.kernel_gradient_scale)
        shares = [self.dead, self.saturated]
        kernel = (_shown(self.kernel_variance), self.suited_initializer or "", _shown(self.suited_variance))
        return (
            self.name,
            self.activation,
            *map(_shown, numbers),
            *("" if share is None else f"{share:.0%}" for share in shares),
            *kernel,
        )


COLUMNS = (
    *("layer", "activation", "scale", "gradient", "kernel gradient", "dead", "saturated"),
    *("kernel variance", "suited initializer", "its variance"),
)


def _shown(number: float | None) -> str:
    return "" if number is None else f"{number:.3g}"


def _activation(layer: Any) -> Any:
    """The function or layer through which a layer's outputs go within it."""
    own = getattr(layer, "activation", None)
    if isinstance(own, str):
        own = _function_of_name(own)
    if own is None:
        return layer if is_activation(layer) else keras.activations.linear
    return own


def _function_of_name(name: str) -> Any:
    try:
        return keras.activations.get(name)
    except ValueError:  # a name that the layer alone knows
        return None


def _name(activation: Any) -> str:
    return getattr(activation, "__name__", type(activation).__name__)


def _feeds(layer: Any) -> Any:
    """The activation that a layer's outputs come to before another kernel does."""
    activation = _activation(layer)
    nodes = layer._outbound_nodes
    while (
        _name(activation) == "linear" and len(nodes) == 1 and _kernel_of_operation(nodes[0].operation) is None
    ):
        activation = _activation(nodes[0].operation)
        nodes = nodes[0].operation._outbound_nodes
    return activation


def _kernel_of_operation(operation: Any) -> Any:
    return kernel_of(operation) if isinstance(operation, keras.Layer) else None


def root_mean_square(array: np.ndarray) -> float:
    """The size of an array's entries; 0 where there are none."""
    return float(np.sqrt(np.mean(np.square(array)))) if array.size else 0.0


def layer_scale(passed: Passed) -> LayerScale:
    """The numbers of one layer."""
    name = _name(_activation(passed.layer))
    suited = variance = None
    if passed.kernel is not None and not is_recurrent(passed.layer):
        initializer = suited_initializer(_feeds(passed.layer))
        suited = to_snake_case(type(initializer).__name__)
        variance = _variance(initializer, passed.kernel.shape)
    return LayerScale(
        name=passed.name,
        activation=name,
        mean=float(passed.outputs.mean()),
        activation_scale=root_mean_square(passed.outputs),
        gradient_scale=root_mean_square(passed.gradients),
        kernel_gradient_scale=None
        if passed.kernel_gradient is None
        else root_mean_square(passed.kernel_gradient),
        dead=float(np.mean(~passed.outputs.any(axis=0))),
        saturated=_saturated(passed.outputs, *_RANGES[name]) if name in _RANGES else None,
        kernel_variance=None if passed.kernel is None else root_mean_square(passed.kernel) ** 2,
        suited_initializer=suited,
        suited_variance=variance,
    )


def _variance(initializer: Any, shape: tuple[int, ...]) -> float:
    """What a Keras VarianceScaling gives a kernel of this shape: scale / n.

    >>> _variance(keras.initializers.HeNormal(), (50, 10))
    0.04
    """
    fan_in, fan_out = compute_fans(shape)
    return initializer.scale / {"fan_in": fan_in, "fan_avg": (fan_in + fan_out) / 2}[initializer.mode]


def _saturated(outputs: np.ndarray, low: float, high: float) -> float:
    margin = NEAR_LIMIT * (high - low)
    return float(np.mean((outputs < low + margin) | (outputs > high - margin)))
