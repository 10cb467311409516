"""The faults that the scales of layers and inputs show: one rule for each kind."""

from collections.abc import Iterator, Sequence

import numpy as np

from kerashp.diagnostics._initialization.growth import ScaleGrowth
from kerashp.diagnostics._initialization.result import InitializationFinding
from kerashp.diagnostics._initialization.scales import LayerScale

OVER_DEPTH = 100.0  # largest factor by which a scale may grow or fall from the first hidden layer to the last
PER_LAYER = 5.0  # largest factor per layer, on average
DEAD = 0.75  # largest share of dead units in a layer
SATURATED = 0.25  # largest share of saturated outputs in a layer
INPUT_SCALE = (0.01, 10.0)  # range of the root mean square of the inputs' largest column
INPUT_RATIO = 1e4  # largest ratio of the largest column's root mean square to the smallest's
INPUT_MEAN = 3.0  # largest mean of a column, in standard deviations and in absolute terms
VARIANCE_RATIO = 1.5  # of a kernel's variance to that of the suited initializer, above which it is reported

_MAX_NAMES = 3  # layers that a finding lists


def growth_findings(
    what: str, growth: ScaleGrowth | None, hidden: Sequence[LayerScale]
) -> Iterator[InitializationFinding]:
    """ "exploding" or "vanishing": a scale changes too much over the depth, or per layer."""
    if growth is None:
        return
    factor, depth = growth
    per_layer = growth.per_layer
    change = (
        f"the scale of the {what} changes by a factor of {per_layer:.3g} per layer, and of {factor:.3g} over "
        f"{depth} layers"
    )
    names = tuple(layer.name for layer in hidden)
    if not (factor <= OVER_DEPTH and per_layer <= PER_LAYER):
        yield InitializationFinding("exploding", names, f"exploding {what}: {change}. {_advice(hidden)}")
    elif not (factor >= 1 / OVER_DEPTH and per_layer >= 1 / PER_LAYER):
        yield InitializationFinding("vanishing", names, f"vanishing {what}: {change}. {_advice(hidden)}")


def _advice(hidden: Sequence[LayerScale]) -> str:
    unsuited = [layer for layer in hidden if _is_unsuited(layer)]
    if not unsuited:
        return (
            "The kernels suit their activations; try another activation, BatchNormalization or fewer layers"
        )
    initializers = " or ".join(dict.fromkeys(repr(layer.suited_initializer) for layer in unsuited))
    return (
        "The variance of some kernels does not suit their activations: set "
        f"kernel_initializer={initializers} in {_layer_list(unsuited)}"
    )


def _is_unsuited(layer: LayerScale) -> bool:
    if layer.kernel_variance is None or layer.suited_variance is None:
        return False
    return not 1 / VARIANCE_RATIO <= layer.kernel_variance / layer.suited_variance <= VARIANCE_RATIO


def _layer_list(layers: Sequence[LayerScale]) -> str:
    names = ", ".join(layer.name for layer in layers[:_MAX_NAMES])
    return names if len(layers) <= _MAX_NAMES else f"{names} and {len(layers) - _MAX_NAMES} more"


def dead_unit_findings(layers: Sequence[LayerScale]) -> Iterator[InitializationFinding]:
    """ "dead units": too many units whose output is 0 for all rows."""
    faulty = [layer for layer in layers if layer.dead > DEAD]
    if faulty:
        text = (
            f"dead units: up to {max(layer.dead for layer in faulty):.0%} of the units output 0 for all rows "
            f"in {_layer_list(faulty)}. Initialize biases at 0 or above, scale the inputs, or use an "
            "activation with a slope below 0 ('leaky_relu', 'elu')"
        )
        yield InitializationFinding("dead units", tuple(layer.name for layer in faulty), text)


def saturation_findings(layers: Sequence[LayerScale]) -> Iterator[InitializationFinding]:
    """ "saturation": too many outputs at the ends of the activation's range."""
    faulty = [layer for layer in layers if (layer.saturated or 0) > SATURATED]
    if faulty:
        text = (
            f"saturation: up to {max(layer.saturated or 0 for layer in faulty):.0%} of the outputs are at "
            f"the limits of their activation in {_layer_list(faulty)}, where its slope is near 0. Initialize "
            "biases at 0, scale the inputs, or use the suited initializer"
        )
        yield InitializationFinding("saturation", tuple(layer.name for layer in faulty), text)


def input_findings(inputs: np.ndarray) -> Iterator[InitializationFinding]:
    """ "inputs not scaled", from the inputs of the first kernel, of shape `(n, columns)`."""
    scales = np.sqrt(np.mean(np.square(inputs), axis=0))
    if not scales.any():
        return
    means, deviations = np.abs(inputs.mean(axis=0)), inputs.std(axis=0)
    low, high = INPUT_SCALE
    largest, smallest = scales.max(), scales[scales > 0].min()
    reasons = []
    if not low <= largest <= high:
        reasons.append(f"column {scales.argmax()} has a root mean square of {largest:.3g}")
    if largest > INPUT_RATIO * smallest:
        reasons.append(f"the root mean squares of the columns range from {smallest:.3g} to {largest:.3g}")
    distant = (means > INPUT_MEAN) & (means > INPUT_MEAN * deviations)
    if distant.any():
        column = int(distant.argmax())
        reasons.append(
            f"column {column} has a mean of {inputs[:, column].mean():.3g} and a standard deviation of "
            f"{deviations[column]:.3g}"
        )
    if reasons:
        remedy = "Scale them with StandardScaler or a Normalization layer"
        text = f"inputs not scaled: {'; '.join(reasons)}. {remedy}"
        yield InitializationFinding("inputs not scaled", (), text)
