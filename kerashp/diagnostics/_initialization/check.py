"""`check_initialization`: does the signal keep its scale through a model's layers at the start?"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from keras import ops, tree
from keras.layers import Normalization

from kerashp._arguments import Arguments
from kerashp.diagnostics._foundations.copies import compiled_like, float64_copy, in_float64
from kerashp.diagnostics._foundations.passes import Pass, checked_model, checked_rows, is_float
from kerashp.diagnostics._foundations.result import Result, Table
from kerashp.diagnostics._initialization.scales import (
    COLUMNS,
    LayerScale,
    layer_scale,
    root_mean_square,
)
from kerashp.diagnostics._initialization.signal import (
    Passed,
    is_activation,
    is_recurrent,
    passed_through,
)

_CHECK = Arguments("check_initialization")

# Thresholds of the findings.
OVER_DEPTH = 100.0  # times that a scale may grow or fall from the first hidden layer to the last
PER_LAYER = 5.0  # times that it may grow or fall a layer, on average
DEAD = 0.75  # share of a layer's units
SATURATED = 0.25  # share of a layer's outputs
INPUT_SCALE = (0.01, 10.0)  # root mean square of the inputs' largest column
INPUT_RATIO = 1e4  # of the largest column's to the smallest's
INPUT_MEAN = 3.0  # times a column's standard deviation, and in absolute terms
OFF = 1.5  # times that a kernel's variance may be that of the initializer that suits, to go unmentioned

_NAMED = 3  # layers that a finding names

# Activations that are not 0 at 0: the scale of what comes out does not follow that of what goes in.
_OFFSET = ("sigmoid", "hard_sigmoid", "softmax", "Softmax", "softplus", "exponential", "log_sigmoid")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong at the start.

    Attributes
    ----------
    kind : str
        "exploding", "vanishing", "dead units", "saturation" or "inputs not scaled".
    layers : tuple of str
        The layers that show it; none where it is the inputs'.
    text : str
        The evidence, and what to do.
    """

    kind: str
    layers: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class InitializationCheck(Result):
    """What `check_initialization` found.

    Attributes
    ----------
    layers : tuple of LayerScale
        The layers with kernels and the activation layers, in the order in which the model calls them.
    findings : tuple of Finding
        What is wrong, the worst first; empty where all is well.
    input_scale : float or None
        Root mean square of what goes into the first layer with a kernel.
    activation_growth, gradient_growth : float or None
        The factor by which the root mean square of hidden outputs, and the norm of the gradients with respect
        to them on their way back, changes a layer: the geometric mean over the layers that can be compared
        with the one before. None where there are none.
    """

    layers: tuple[LayerScale, ...]
    findings: tuple[Finding, ...]
    input_scale: float | None
    activation_growth: float | None
    gradient_growth: float | None

    @property
    def verdict(self) -> str:
        """The kind of the first finding, or "healthy"."""
        return self.findings[0].kind if self.findings else "healthy"

    def _parts(self) -> Sequence[str | Table]:
        growths = [("activations", self.activation_growth), ("gradients", self.gradient_growth)]
        times = "; ".join(
            f"{what}: {growth:.3g} times a layer" for what, growth in growths if growth is not None
        )
        parts: list[str | Table] = [f"Initialization: {self.verdict}"]
        parts += [f"- {finding.text}" for finding in self.findings]
        parts += [times] if times else []
        return [*parts, Table(COLUMNS, [layer.cells() for layer in self.layers])]


# What is wrong, each by a function of the numbers alone.


class _Stage(NamedTuple):
    """The scale at one depth."""

    scale: float
    positions: int | None  # of a row; None where the layer is recurrent
    offset: bool = False  # whether the scale is the activation's own

    def follows(self, before: "_Stage") -> bool:
        """Whether the scales can be compared: a mean over positions shrinks them, and so do steps."""
        if self.offset or self.positions is None or before.positions is None:
            return False
        return (self.positions == 1) == (before.positions == 1)


class _Growth(NamedTuple):
    times: float
    depth: int

    @property
    def a_layer(self) -> float:
        """The geometric mean.

        >>> _Growth(4.0, 2).a_layer
        2.0
        """
        return float(self.times ** (1 / self.depth))


def _growth(stages: Sequence[_Stage]) -> _Growth | None:
    """Over all stages that can be compared with the one before.

    >>> _growth([_Stage(1.0, 1), _Stage(3.0, 1), _Stage(4.0, 1)])
    _Growth(times=4.0, depth=2)
    """
    runs: list[list[float]] = []
    for index, stage in enumerate(stages):
        if index and stage.follows(stages[index - 1]):
            runs[-1].append(stage.scale)
        else:
            runs.append([stage.scale])
    compared = [run for run in runs if len(run) > 1 and run[0] != 0]
    if not compared:
        return None
    times = math.prod(run[-1] / run[0] for run in compared)
    return _Growth(times, sum(len(run) - 1 for run in compared))


def _of_growth(what: str, growth: _Growth | None, hidden: Sequence[LayerScale]) -> Iterator[Finding]:
    """ "exploding" or "vanishing", where a scale changes too much over the depth, or a layer."""
    if growth is None:
        return
    times, depth = growth
    a_layer = growth.a_layer
    text = f"the scale of the {what} changes {a_layer:.3g} times a layer, {times:.3g} times over {depth}"
    names = tuple(layer.name for layer in hidden)
    if not (times <= OVER_DEPTH and a_layer <= PER_LAYER):
        yield Finding("exploding", names, f"exploding {what}: {text}. {_advice(hidden)}")
    elif not (times >= 1 / OVER_DEPTH and a_layer >= 1 / PER_LAYER):
        yield Finding("vanishing", names, f"vanishing {what}: {text}. {_advice(hidden)}")


def _advice(hidden: Sequence[LayerScale]) -> str:
    off = [layer for layer in hidden if _off(layer)]
    if not off:
        return (
            "The kernels suit their activations; another activation, BatchNormalization or less depth helps"
        )
    suited = " or ".join(dict.fromkeys(repr(layer.suited_initializer) for layer in off))
    return f"The variance of kernels is not what suits: kernel_initializer={suited} in {_listed(off)}"


def _off(layer: LayerScale) -> bool:
    if layer.kernel_variance is None or layer.suited_variance is None:
        return False
    return not 1 / OFF <= layer.kernel_variance / layer.suited_variance <= OFF


def _listed(layers: Sequence[LayerScale]) -> str:
    names = ", ".join(layer.name for layer in layers[:_NAMED])
    return names if len(layers) <= _NAMED else f"{names} and {len(layers) - _NAMED} more"


def _of_dead_units(layers: Sequence[LayerScale]) -> Iterator[Finding]:
    found = [layer for layer in layers if layer.dead > DEAD]
    if found:
        text = (
            f"dead units: {max(layer.dead for layer in found):.0%} of the units give 0 for all rows in "
            f"{_listed(found)}. Start biases at 0 or above, scale the inputs, or use an activation with a "
            "slope below 0 ('leaky_relu', 'elu')"
        )
        yield Finding("dead units", tuple(layer.name for layer in found), text)


def _of_saturation(layers: Sequence[LayerScale]) -> Iterator[Finding]:
    found = [layer for layer in layers if (layer.saturated or 0) > SATURATED]
    if found:
        text = (
            f"saturation: {max(layer.saturated or 0 for layer in found):.0%} of the outputs are at the "
            f"limits of their activation in {_listed(found)}, where its slope is near 0. Start biases at 0, "
            "scale the inputs, or take the suited initializer"
        )
        yield Finding("saturation", tuple(layer.name for layer in found), text)


def _of_inputs(inputs: np.ndarray) -> Iterator[Finding]:
    """ "inputs not scaled", by the columns of shape `(n, columns)` that go into the first kernel."""
    scales = np.sqrt(np.mean(np.square(inputs), axis=0))
    if not scales.any():
        return
    means, deviations = np.abs(inputs.mean(axis=0)), inputs.std(axis=0)
    low, high = INPUT_SCALE
    largest, smallest = scales.max(), scales[scales > 0].min()
    reasons = []
    if not low <= largest <= high:
        reasons.append(f"column {scales.argmax()} has the root mean square {largest:.3g}")
    if largest > INPUT_RATIO * smallest:
        reasons.append(f"columns' root mean squares go from {smallest:.3g} to {largest:.3g}")
    far = (means > INPUT_MEAN) & (means > INPUT_MEAN * deviations)
    if far.any():
        at = int(far.argmax())
        reasons.append(
            f"column {at} has the mean {inputs[:, at].mean():.3g} and the deviation {deviations[at]:.3g}"
        )
    if reasons:
        text = f"inputs not scaled: {'; '.join(reasons)}. Scale them: StandardScaler, a Normalization layer"
        yield Finding("inputs not scaled", (), text)


def _blocks(shown: Sequence[Passed]) -> list[list[Passed]]:
    """The layers by kernel: each with the activation layers after it."""
    blocks: list[list[Passed]] = []
    for each in shown:
        if each.kernel is not None:
            blocks.append([each])
        elif blocks:
            blocks[-1].append(each)
    return blocks


def _forwards(hidden: Sequence[list[Passed]], scales: dict[str, LayerScale]) -> list[_Stage]:
    return [
        _Stage(
            scales[block[-1].name].activation_scale,
            _positions(block),
            scales[block[-1].name].activation in _OFFSET,
        )
        for block in hidden
    ]


def _backwards(hidden: Sequence[list[Passed]]) -> list[_Stage]:
    """By the norm, which narrowing layers and fewer positions keep, where the mean square would change."""
    norms = [float(np.linalg.norm(block[-1].gradients)) for block in hidden]
    return [_Stage(norm, _positions(block)) for norm, block in zip(norms, hidden, strict=True)][::-1]


def _positions(block: Sequence[Passed]) -> int | None:
    return None if is_recurrent(block[0].layer) else block[-1].positions


def _first_inputs(passed: Sequence[Passed]) -> np.ndarray | None:
    """The columns that go into the first kernel; None where layers that learn come before it."""
    for each in passed:
        if each.kernel is not None:
            return each.inputs
        if each.layer.weights and not isinstance(each.layer, Normalization):
            return None
    return None


def _result(passed: Sequence[Passed]) -> InitializationCheck:
    shown = [each for each in passed if each.kernel is not None or is_activation(each.layer)]
    layers = tuple(map(layer_scale, shown))
    hidden = _blocks(shown)[:-1]
    inputs = _first_inputs(passed)
    unscaled = [] if inputs is None else list(_of_inputs(inputs))
    by_name = {layer.name: layer for layer in layers}
    stages = _forwards(hidden, by_name)
    if inputs is not None and not unscaled and stages:
        stages = [_Stage(root_mean_square(inputs), stages[0].positions), *stages]
    activations, gradients = _growth(stages), _growth(_backwards(hidden))
    kernels = [by_name[block[0].name] for block in hidden if _positions(block) is not None]
    growing = [
        *_of_growth("activations", activations, kernels),
        *_of_growth("gradients", gradients, kernels),
    ]
    findings = (
        *sorted(growing, key=lambda finding: finding.kind),  # exploding before vanishing
        *_of_dead_units(layers),
        *_of_saturation(layers),
        *unscaled,
    )
    return InitializationCheck(
        layers,
        findings,
        None if inputs is None else root_mean_square(inputs),
        None if activations is None else activations.a_layer,
        None if gradients is None else gradients.a_layer,
    )


def check_initialization(
    model: Any, x: Any, y: Any = None, *, sample_weight: Any = None, n_rows: int = 256, random_state: int = 0
) -> InitializationCheck:
    r"""Look at the scale of activations and gradients, layer by layer, before any training.

    With $q_l$ the mean square of the outputs of hidden layer $l$ of $n_{in}$ inputs, whose kernel's variance
    is $\sigma_l^2$, a ReLU network of zero biases has in theory

    $$q_l = \tfrac{1}{2} n_{in} \sigma_l^2 \, q_{l-1},$$

    so that it holds at He's variance $2 / n_{in}$; likewise at LeCun's $1 / n_{in}$ for selu, tanh and a
    linear network, and forwards and backwards together about so at Glorot's $2 / (n_{in} + n_{out})$. What is
    said:

    - "exploding", "vanishing": the root mean square of hidden outputs (from that of the inputs on, where
      these are scaled), or the norm of the gradients with respect to them (from the last hidden layer back),
      changes more than 100 times over the depth, or more than 5 times a layer. Left out are recurrent layers,
      the step from positions or time steps to one vector, which a mean or a last step makes smaller, and
      forwards what sigmoid, softmax and the like give, which is near their value at 0 whatever goes in;
    - "dead units": more than 75% of a layer's units give 0 for all rows. Half of them do so in a deep ReLU
      network that is well initialized, as its layers make all rows alike;
    - "saturation": more than 25% of the outputs of tanh, sigmoid and their kin are within a hundredth of
      their range from its ends, where the slope is less than 4% of the largest;
    - "inputs not scaled": of what goes into the first kernel, the largest column's root mean square is not in
      [0.01, 10], or 10,000 times the smallest's; or a mean is more than 3, and more than 3 standard
      deviations.

    All is computed in float64, on a copy; the model stays as it is. Dropout and the like are off, but
    BatchNormalization takes the mean and variance of the rows, as it does when training starts.

    Parameters
    ----------
    model : keras.Model
        Before it is trained. One not built yet is looked at with weights drawn by its initializers, and stays
        unbuilt. A class of your own must have `get_config` and `from_config`, as for saving it; what its
        `call` applies outside of layers is not seen.
    x : array of shape (n_samples, ...), or a list or dict of them
        As the model gets it in training.
    y : array of shape (n_samples, ...), or a list or dict of them, default=None
        Targets, for the gradients of the model's own loss; it must then be compiled. None: the gradients are
        those of the outputs along a random direction, divided by the number of rows.
    sample_weight : array of shape (n_samples,), default=None
        Multiplies the loss of each row.
    n_rows : int, default=256
        How many rows are passed through, the first ones.
    random_state : int, default=0
        Decides the random direction, and the weights of a model that is not built.

    Returns
    -------
    InitializationCheck
        With `layers`, `findings`, `verdict`, `activation_growth` and `gradient_growth`; it prints as a table,
        in which "suited initializer" is the one for the activation that the layer's outputs go through: He's
        for ReLU and its kin, LeCun's for selu and tanh, Glorot's for the rest, none for recurrent layers.

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be used, or x is not finite; the model cannot be made anew in float64, or has no
        layer with a kernel.
    NotImplementedError
        On a backend other than TensorFlow and JAX.

    References
    ----------
    K. He et al., Delving Deep into Rectifiers, 2015; X. Glorot and Y. Bengio, Understanding the difficulty of
    training deep feedforward neural networks, 2010; Y. LeCun et al., Efficient BackProp, 1998.

    A. Géron, Hands-On Machine Learning, ch. 11, "The Vanishing/Exploding Gradients Problems".

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp import build_model
    >>> from kerashp.diagnostics import check_initialization
    >>> X = np.random.default_rng(0).normal(size=(50, 8))
    >>> check_initialization(build_model(3, 30), X).verdict
    'healthy'
    >>> check_initialization(build_model(3, 30), 100 * X).verdict
    'inputs not scaled'
    """
    n_rows = _CHECK.integer("n_rows", n_rows, at_least=2)
    seed = _CHECK.integer("random_state", random_state, at_least=0)
    checked_model(_CHECK, model, compiled=y is not None)
    if y is None and sample_weight is not None:
        raise _CHECK.wrong_value("sample_weight", "None where y is: there is no loss to weigh", sample_weight)
    with in_float64("check_initialization", seed):
        rows = checked_rows(_CHECK, x, y, sample_weight, n_rows)
        _check_finite(rows.x)
        copy = float64_copy("check_initialization", model, rows.x)
        if y is None:
            passed = passed_through(
                copy, rows, lambda through, weights: _along(through.outputs(weights), seed)
            )
        else:
            passed = passed_through(compiled_like(model, copy), rows, Pass.loss)
        if all(each.kernel is None for each in passed):
            raise ValueError(
                f"check_initialization: the model {model.name!r} has no layer with a kernel to check"
            )
        return _result(passed)


def _check_finite(x: Any) -> None:
    for tensor in filter(is_float, tree.flatten(x)):
        array = ops.convert_to_numpy(tensor)
        if not np.isfinite(array).all():
            raise _CHECK.wrong_value("x", "finite (impute or drop what is missing)", array)


def _along(outputs: Any, seed: int) -> Any:
    """The outputs along a random direction, by rows: a loss where there are no targets."""
    rng = np.random.default_rng(seed)
    floats = [tensor for tensor in tree.flatten(outputs) if is_float(tensor)]
    parts = [ops.sum(tensor * rng.normal(size=tensor.shape)) / tensor.shape[0] for tensor in floats]
    return sum(parts[1:], parts[0])
