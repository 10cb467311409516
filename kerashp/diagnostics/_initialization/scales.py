"""The scale of a layer's outputs, gradients and kernel, and the initializer that suits it."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerashp._compat.keras import calls_after, compute_fans, producer, to_snake_case
from kerashp.diagnostics._initialization.signal import LayerSignal, is_activation, is_recurrent, kernel_of
from kerashp.layers import FanInScaling, HeadOutputs
from kerashp.layers._hidden_layers import suited_initializer

NEAR_LIMIT = 0.01  # of the range of an activation: outputs this close to an end are saturated

_RANGES = {
    "tanh": (-1, 1),
    "hard_tanh": (-1, 1),
    "softsign": (-1, 1),
    "sigmoid": (0, 1),
    "hard_sigmoid": (0, 1),
}


@dataclass(frozen=True)
class LayerScale:
    """The scale of the signal in a layer.

    Attributes
    ----------
    name, activation : str
        The name of the layer, and of its activation ("linear" if it has none).
    mean, activation_scale : float
        Mean and root mean square of the outputs, over all rows and units.
    gradient_scale : float
        Root mean square of the loss's gradient with respect to the outputs.
    kernel_gradient_scale : float or None
        Root mean square of the loss's gradient with respect to the kernel; None without a kernel.
    dead : float
        The share of the units whose output is 0 for all rows.
    saturated : float or None
        The share of the outputs that are closer to an end of the activation's range than a hundredth of the
        range; None if the activation is not bounded.
    kernel_variance : float or None
        The mean square of the kernel, divided by the number of inputs after a `FanInScaling`.
    suited_initializer : str or None
        The initializer that keeps the scale through the activation of the kernel's outputs; None for
        recurrent layers, whose scale depends on gates and steps.
    suited_variance : float or None
        The variance of a kernel of this shape under that initializer.
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
        """The row of this layer in a table with the columns `COLUMNS`."""
        numbers = (self.activation_scale, self.gradient_scale, self.kernel_gradient_scale)
        shares = [self.dead, self.saturated]
        kernel = (
            _number_text(self.kernel_variance),
            self.suited_initializer or "",
            _number_text(self.suited_variance),
        )
        return (
            self.name,
            self.activation,
            *map(_number_text, numbers),
            *("" if share is None else f"{share:.0%}" for share in shares),
            *kernel,
        )


COLUMNS = (
    *("layer", "activation", "scale", "gradient", "kernel gradient", "dead", "saturated"),
    *("kernel variance", "suited initializer", "its variance"),
)


def _number_text(number: float | None) -> str:
    return "" if number is None else f"{number:.3g}"


def _activation_of(layer: Any) -> Any:
    """The activation that a layer applies to its outputs: a function or a layer."""
    activation = getattr(layer, "activation", None)
    if isinstance(activation, str):
        activation = _function_of_name(activation)
    if activation is None:
        return layer if is_activation(layer) else keras.activations.linear
    return activation


def _function_of_name(name: str) -> Any:
    try:
        return keras.activations.get(name)
    except ValueError:  # the name is of the layer's own activations
        return None


def _activation_name(activation: Any) -> str:
    return getattr(activation, "__name__", type(activation).__name__)


def _next_activation(layer: Any) -> Any:
    """The first activation that is applied to a layer's outputs before the next kernel."""
    activation = _activation_of(layer)
    nodes = calls_after(layer)
    while (
        _activation_name(activation) == "linear"
        and len(nodes) == 1
        and _kernel_of_operation(nodes[0].operation) is None
    ):
        activation = _activation_of(nodes[0].operation)
        nodes = calls_after(nodes[0].operation)
    return activation


def _kernel_of_operation(operation: Any) -> Any:
    return kernel_of(operation) if isinstance(operation, keras.Layer) else None


def root_mean_square(array: np.ndarray) -> float:
    """The root mean square of an array; 0 if it is empty."""
    return float(np.sqrt(np.mean(np.square(array)))) if array.size else 0.0


def layer_scale(signal: LayerSignal) -> LayerScale:
    """The scale of the signal in one layer."""
    name = _activation_name(_activation_of(signal.layer))
    suited = variance = None
    if signal.kernel is not None and not is_recurrent(signal.layer):
        initializer = suited_initializer(_next_activation(signal.layer))
        suited = to_snake_case(type(initializer).__name__)
        shape = signal.kernel.shape
        # Each head has a kernel.
        variance = _variance(initializer, shape[1:] if isinstance(signal.layer, HeadOutputs) else shape)
    return LayerScale(
        name=signal.name,
        activation=name,
        mean=float(signal.outputs.mean()),
        activation_scale=root_mean_square(signal.outputs),
        gradient_scale=root_mean_square(signal.gradients),
        kernel_gradient_scale=None
        if signal.kernel_gradient is None
        else root_mean_square(signal.kernel_gradient),
        dead=float(np.mean(~signal.outputs.any(axis=0))),
        saturated=_saturated(signal.outputs, *_RANGES[name]) if name in _RANGES else None,
        kernel_variance=None
        if signal.kernel is None
        else (root_mean_square(signal.kernel) * _fan_in_factor(signal.layer)) ** 2,
        suited_initializer=suited,
        suited_variance=variance,
    )


def _fan_in_factor(layer: Any) -> float:
    """What a FanInScaling before a layer multiplies its inputs by; 1 without one."""
    tensor = getattr(layer, "input", None)
    before = None if tensor is None or isinstance(tensor, list | dict) else producer(tensor)
    return float(keras.ops.convert_to_numpy(before.factor)) if isinstance(before, FanInScaling) else 1.0


def _variance(initializer: Any, shape: tuple[int, ...]) -> float:
    """The variance of a kernel of this shape under a Keras VarianceScaling: scale / n.

    >>> _variance(keras.initializers.HeNormal(), (50, 10))
    0.04
    """
    fan_in, fan_out = compute_fans(shape)
    return initializer.scale / {"fan_in": fan_in, "fan_avg": (fan_in + fan_out) / 2}[initializer.mode]


def _saturated(outputs: np.ndarray, low: float, high: float) -> float:
    margin = NEAR_LIMIT * (high - low)
    return float(np.mean((outputs < low + margin) | (outputs > high - margin)))
