"""`check_initialization`: checks that signals and gradients keep their scale through a model's layers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops, tree
from keras.layers import Normalization

from kerashp._arguments import Arguments
from kerashp.diagnostics._foundations.copies import compile_copy, float64_copy, in_float64
from kerashp.diagnostics._foundations.forward_pass import ForwardPass, as_model_data, check_model, is_float
from kerashp.diagnostics._initialization.findings import (
    dead_unit_findings,
    growth_findings,
    input_findings,
    saturation_findings,
)
from kerashp.diagnostics._initialization.growth import (
    Stage,
    backward_stages,
    forward_stages,
    growth_over,
    kernel_blocks,
    positions,
)
from kerashp.diagnostics._initialization.result import InitializationCheck
from kerashp.diagnostics._initialization.scales import layer_scale, root_mean_square
from kerashp.diagnostics._initialization.signal import LayerSignal, is_activation, layer_signals
from kerashp.layers import PiecewiseLinearEncoding, RobustScaling

_CHECK = Arguments("check_initialization")


def check_initialization(
    model: Any, x: Any, y: Any = None, *, sample_weight: Any = None, n_rows: int = 256, random_state: int = 0
) -> InitializationCheck:
    r"""Check the scale of activations and gradients, layer by layer, before training.

    With $q_l$ the mean square of the outputs of hidden layer $l$ of $n_{in}$ inputs, whose kernel's variance
    is $\sigma_l^2$, a ReLU network of zero biases has in theory

    $$q_l = \tfrac{1}{2} n_{in} \sigma_l^2 \, q_{l-1},$$

    so the scale is kept at He's variance $2 / n_{in}$; likewise at LeCun's $1 / n_{in}$ for selu, tanh and
    linear networks, and approximately, in both directions, at Glorot's $2 / (n_{in} + n_{out})$. The check
    reports:

    - "exploding", "vanishing": the root mean square of hidden outputs (beginning with that of the inputs if
      they are scaled), or the norm of the gradients with respect to them (beginning with the last hidden
      layer), changes by a factor of more than 100 over the depth, or of more than 5 per layer. Excluded are
      recurrent layers, the step from positions or time steps to a single vector, and, in forward direction,
      the outputs of sigmoid, softmax and similar activations, which are near their value at 0;
    - "dead units": more than 75% of a layer's units output 0 for all rows. About half of the units do in a
      deep ReLU network that is well initialized, because its layers map all rows to similar values;
    - "saturation": more than 25% of the outputs of tanh, sigmoid and similar activations are closer to the
      ends of their range than a hundredth of the range; there the slope is less than 4% of the largest;
    - "inputs not scaled": among the inputs of the first kernel, the largest root mean square of a column is
      not in [0.01, 10], or is more than 10,000 times the smallest; or the mean of a column exceeds 3 as well
      as 3 standard deviations.

    All computations are in float64, on a copy; the model is not changed. Dropout and similar layers are
    inactive, but BatchNormalization uses the mean and variance of the rows, as at the start of training.

    Parameters
    ----------
    model : keras.Model
        A model before training. A model that is not built is checked with weights drawn by its initializers,
        and stays unbuilt. A custom class must have `get_config` and `from_config`, as for saving it; the
        operations of its `call` outside of layers are not checked.
    x : array of shape (n_samples, ...), or a list or dict of them
        The inputs of the model in training.
    y : array of shape (n_samples, ...), or a list or dict of them, default=None
        The targets, for the gradients of the loss of a compiled model. If None, the gradients are those of
        the outputs along a random direction, divided by the number of rows.
    sample_weight : array of shape (n_samples,), default=None
        Multiplies the loss of each row.
    n_rows : int, default=256
        The number of rows, from the first, that pass through the model.
    random_state : int, default=0
        Determines the random direction, and the weights of a model that is not built.

    Returns
    -------
    InitializationCheck
        The result with `layers`, `findings`, `verdict`, `activation_growth` and `gradient_growth`. It prints
        as a table, in which "suited initializer" is the one for the activation of the layer's outputs: He's
        for ReLU and similar ones, LeCun's for selu and tanh, Glorot's for others, none for recurrent layers.

    Raises
    ------
    TypeError, ValueError
        If an argument is not valid, or x is not finite; if the model cannot be copied in float64, or has no
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
    check_model(_CHECK, model, compiled=y is not None)
    if y is None and sample_weight is not None:
        raise _CHECK.wrong_value(
            "sample_weight", "None if y is None, as there is no loss to weight", sample_weight
        )
    with in_float64("check_initialization", seed):
        data = as_model_data(_CHECK, x, y, sample_weight, n_rows)
        _check_finite(data.x)
        copy = float64_copy("check_initialization", model, data.x)
        if y is None:
            signals = layer_signals(
                copy, data, lambda forward, weights: _random_projection(forward.outputs(weights), seed)
            )
        else:
            signals = layer_signals(compile_copy(model, copy), data, ForwardPass.loss)
        if all(signal.kernel is None for signal in signals):
            raise ValueError(
                f"check_initialization: the model {model.name!r} has no layer with a kernel to check"
            )
        return _initialization_check(signals)


def _check_finite(x: Any) -> None:
    for tensor in filter(is_float, tree.flatten(x)):
        array = ops.convert_to_numpy(tensor)
        if not np.isfinite(array).all():
            raise _CHECK.wrong_value("x", "finite (impute or drop missing values)", array)


def _random_projection(outputs: Any, seed: int) -> Any:
    """The mean over rows of the outputs along a random direction: a loss for a model without targets."""
    rng = np.random.default_rng(seed)
    tensors = [tensor for tensor in tree.flatten(outputs) if is_float(tensor)]
    parts = [ops.sum(tensor * rng.normal(size=tensor.shape)) / tensor.shape[0] for tensor in tensors]
    return sum(parts[1:], parts[0])


def _first_inputs(signals: Sequence[LayerSignal]) -> np.ndarray | None:
    """The inputs of the first kernel; None if layers with weights come before it."""
    for signal in signals:
        if signal.kernel is not None:
            return signal.inputs
        if signal.layer.weights and not isinstance(
            signal.layer, (Normalization, PiecewiseLinearEncoding, RobustScaling)
        ):
            return None
    return None


def _initialization_check(signals: Sequence[LayerSignal]) -> InitializationCheck:
    reported = [signal for signal in signals if signal.kernel is not None or is_activation(signal.layer)]
    layers = tuple(map(layer_scale, reported))
    by_name = {layer.name: layer for layer in layers}
    hidden = kernel_blocks(reported)[:-1]
    inputs = _first_inputs(signals)
    unscaled = [] if inputs is None else list(input_findings(inputs))
    stages = forward_stages(hidden, by_name)
    if inputs is not None and not unscaled and stages:
        stages = [Stage(root_mean_square(inputs), stages[0].positions), *stages]
    activations, gradients = growth_over(stages), growth_over(backward_stages(hidden))
    kernels = [by_name[block[0].name] for block in hidden if positions(block) is not None]
    growing = [
        *growth_findings("activations", activations, kernels),
        *growth_findings("gradients", gradients, kernels),
    ]
    findings = (
        *sorted(growing, key=lambda finding: finding.kind),  # exploding before vanishing
        *dead_unit_findings(layers),
        *saturation_findings(layers),
        *unscaled,
    )
    return InitializationCheck(
        layers,
        findings,
        None if inputs is None else root_mean_square(inputs),
        None if activations is None else activations.per_layer,
        None if gradients is None else gradients.per_layer,
    )
