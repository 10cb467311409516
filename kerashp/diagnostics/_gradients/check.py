"""`check_gradients`: compares the automatic gradients of a model with numerical ones."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerashp._arguments import Arguments
from kerashp.diagnostics._foundations.copies import compile_copy, float64_copy, in_float64
from kerashp.diagnostics._foundations.forward_pass import (
    ForwardPass,
    ModelData,
    Place,
    as_model_data,
    check_model,
    layers_by_name,
    tap_layers,
)
from kerashp.diagnostics._foundations.slopes import Slopes
from kerashp.diagnostics._gradients.result import (
    GradientCheck,
    Gradients,
    LayerGradients,
    combine,
    stage_text,
)
from kerashp.training import without_retracing_warnings
from kerashp.training._runtime.backend import backend

_CHECK = Arguments("check_gradients")

_DIRECTIONS = 3  # random ones for each tensor between layers, along which it is moved


class _Directions:
    """A tap that moves the inputs and outputs of layers along random directions."""

    def __init__(self, rng: np.random.Generator):
        self._rng = rng
        self.places: list[Place] = []  # in the order of the forward pass
        self.dtypes: dict[str, str] = {}  # of the last tensor of each layer
        self._steps: Any = None
        self._directions: list[Any] = []

    def begin(self, steps: Any) -> None:
        """Prepare a forward pass with steps of shape `(n_places * _DIRECTIONS,)`; None in the first pass."""
        self._steps = steps
        self.places = []

    def __call__(self, place: Place, tensor: Any) -> Any:
        index = len(self.places)
        self.places.append(place)
        self.dtypes[place.layer] = keras.backend.standardize_dtype(tensor.dtype)
        if self._steps is None:  # drawn outside of compiled code, which would keep them as constants
            self._directions.append(
                ops.convert_to_tensor(self._rng.normal(size=(_DIRECTIONS, *tensor.shape)))
            )
            return tensor
        steps = self._steps[index * _DIRECTIONS : (index + 1) * _DIRECTIONS]
        return tensor + ops.tensordot(steps, self._directions[index], axes=1)


def _check_precision(dtypes: dict[str, str]) -> None:
    for name, dtype in dtypes.items():
        if dtype != "float64":
            raise ValueError(
                f"check_gradients: the layer {name!r} computes in {dtype} even in a float64 copy of the "
                "model, which is not precise enough; let its __init__ pass dtype to the base class (by "
                "**kwargs), and cast to self.compute_dtype"
            )


class _GradientChecker:
    """Checks the gradients of a copy at its present weights."""

    def __init__(
        self, copy: Any, data: ModelData, epsilon: float, rng: np.random.Generator, n_weights: int | None
    ):
        self._copy = copy
        self._data = data
        self._pass = ForwardPass(copy, data)
        self._epsilon = epsilon
        self._variables = copy.trainable_variables
        sizes = [int(np.prod(variable.shape)) for variable in self._variables]
        self._places = [_sample(size, n_weights, rng) for size in sizes]
        self._directions = _Directions(rng)

    def check(self, epochs: int, before: GradientCheck | None) -> GradientCheck:
        weights = [ops.convert_to_numpy(variable) for variable in self._variables]
        loss = float(self._loss(weights, None))
        _check_precision(self._directions.dtypes)
        if not np.isfinite(loss):
            raise ValueError(
                f"check_gradients: the loss must be finite to have gradients; got {loss} {stage_text(epochs)}"
            )
        # Again, since a loss may create variables in its first call.
        self._pass = ForwardPass(self._copy, self._data)
        places = list(self._directions.places)
        of_weights, of_tensors = self._compare(weights, len(places))
        layers = tuple(self._by_layer(of_weights))
        faults = _faults(layers, places, of_tensors) if any(layer.is_bad for layer in layers) else ()
        return GradientCheck(combine("all", of_weights).difference, layers, faults, loss, epochs, before)

    def _loss(self, weights: Sequence[Any], steps: Any) -> Any:
        self._directions.begin(steps)
        with tap_layers(self._copy, self._directions):
            return self._pass.loss(weights)

    def _compare(self, weights: list[np.ndarray], n_places: int) -> tuple[list[Gradients], list[Gradients]]:
        """The gradients with respect to the weights, and to the tensors between layers."""
        parts = [*weights, np.zeros(n_places * _DIRECTIONS)]
        automatic = self._automatic(parts)
        slopes = Slopes(
            lambda theta: self._loss_of(_split(theta, parts)), np.concatenate(list(map(np.ravel, parts)))
        )
        if slopes.is_random:
            raise ValueError(
                "check_gradients: two evaluations of the loss at the same weights and rows differ, even "
                "without dropout; let layers draw random numbers only if training=True"
            )
        places = [*self._places, np.arange(parts[-1].size)]
        gradients = []
        first = 0
        for part, indices, expected in zip(parts, places, automatic, strict=True):
            scale = np.full(len(indices), np.abs(expected).max(initial=0))
            numerical, rounding = slopes.measure(indices + first, self._epsilon, expected[indices], scale)
            gradients.append(Gradients("", part.shape, indices, expected[indices], numerical, rounding))
            first += part.size
        return gradients[:-1], list(_by_tensor(gradients[-1]))

    def _loss_of(self, parts: Sequence[Any]) -> Any:
        return self._loss(parts[:-1], parts[-1])

    def _automatic(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        def gradients(*tensors: Any) -> list[Any]:
            results = backend().value_and_grad(lambda parts: (self._loss_of(parts), ()), list(tensors))[2]
            pairs = zip(tensors, results, strict=True)
            return [ops.zeros_like(tensor) if gradient is None else gradient for tensor, gradient in pairs]

        compiled = backend().for_any_rows(gradients, parts, 0)
        return [ops.convert_to_numpy(gradient).ravel() for gradient in compiled(*parts)]

    def _by_layer(self, gradients: Sequence[Gradients]) -> Iterator[LayerGradients]:
        by_variable = dict(zip(map(id, self._variables), gradients, strict=True))
        for name, layer in [*layers_by_name(self._copy).items(), (self._copy.name, self._copy)]:
            weights = [
                _with_name(by_variable.pop(id(variable)), variable, layer)
                for variable in layer.trainable_variables
                if id(variable) in by_variable
            ]
            if weights:
                yield LayerGradients(name, tuple(weights))


def _with_name(gradients: Gradients, variable: Any, layer: Any) -> Gradients:
    name = variable.path.partition(f"{layer.name}/")[2] or variable.name
    return Gradients(name, *list(vars(gradients).values())[1:])


def _sample(size: int, n_weights: int | None, rng: np.random.Generator) -> np.ndarray:
    if n_weights is None or size <= n_weights:
        return np.arange(size)
    return np.sort(rng.choice(size, n_weights, replace=False))


def _split(theta: Any, parts: Sequence[np.ndarray]) -> list[Any]:
    ends = np.cumsum([part.size for part in parts])
    return [
        ops.reshape(theta[end - part.size : end], part.shape) for end, part in zip(ends, parts, strict=True)
    ]


def _by_tensor(gradients: Gradients) -> Iterator[Gradients]:
    """Divide the gradients along directions by the tensors between layers."""
    for first in range(0, len(gradients.places), _DIRECTIONS):
        part = slice(first, first + _DIRECTIONS)
        arrays = [array[part] for array in list(vars(gradients).values())[2:]]
        yield Gradients("", (_DIRECTIONS,), *arrays)


def _faults(
    layers: Sequence[LayerGradients], places: Sequence[Place], of_tensors: Sequence[Gradients]
) -> tuple[str, ...]:
    """The layers whose output has a right gradient and whose inputs or weights have a wrong one."""
    wrong = {place for place, gradients in zip(places, of_tensors, strict=True) if gradients.is_bad}
    wrong_outputs = {place.layer for place in wrong if place.side == "out"}
    faulty = {
        place.layer for place in wrong if place.side == "in" and place._replace(side="out") not in wrong
    }
    faulty |= {layer.name for layer in layers if layer.is_bad and layer.name not in wrong_outputs}
    names = dict.fromkeys([*(place.layer for place in places), *(layer.name for layer in layers)])
    return tuple(name for name in names if name in faulty) or ("loss",)


def check_gradients(
    model: Any,
    x: Any,
    y: Any,
    epsilon: float = 1e-5,
    *,
    sample_weight: Any = None,
    n_weights: int | None = 1000,
    random_state: Any = None,
    after_epochs: int = 0,
) -> GradientCheck:
    r"""Compare a model's automatic gradients with numerical ones.

    For each weight $w$ the loss $J$, penalties included, is computed a small step to either side,

    $$g_{num} = \frac{J(w + h) - J(w - h)}{2h}, \qquad h = \mathrm{epsilon} \cdot \max(1, |w|),$$

    $$\mathrm{difference} =
    \frac{\lVert g_{num} - g_{auto} \rVert}{\lVert g_{num} \rVert + \lVert g_{auto} \rVert},$$

    over all weights and by layer. The verdict is "right" up to 1e-7, "fine" below 1e-5, "look" from 1e-5 and
    "wrong" from 1e-3. A layer whose gradients are so small that the difference is within the rounding error
    of $J$ is "right" too. To find the layer at fault, which may have no weights, the inputs and outputs of
    each layer are moved along random directions.

    All computations are in float64, on a copy with the model's weights; the model is not changed. Dropout and
    similar layers are inactive, as at prediction, but BatchNormalization uses the mean and variance of the
    rows, as in training. A layer that draws random numbers at prediction must draw them from a
    `keras.random.SeedGenerator`.

    Parameters
    ----------
    model : keras.Model
        A compiled model; its loss, loss weights, penalties and added losses are checked. A model that is not
        built is checked with weights drawn by its initializers, and stays unbuilt. A custom class must have
        `get_config` and `from_config`, as for saving it.
    x, y : arrays of shape (n_rows, ...), or lists or dicts of them
        The data for the loss; some tens of rows are enough. Each checked weight takes the time of about two
        predictions of all rows.
    epsilon : float, default=1e-5
        The step for weights of magnitude up to 1. In float64 the error of the numerical gradient is smallest
        near the cube root of the machine precision, 6e-6: a larger step increases the error of the
        approximation, a smaller one that of rounding.
    sample_weight : array of shape (n_rows,), default=None
        Multiplies the loss of each row.
    n_weights : int or None, default=1000
        How many entries of each weight array are checked, drawn at random; None checks all.
    random_state : int, numpy.random.Generator or None, default=None
        Determines which weights are checked, the directions, and the training for `after_epochs`.
    after_epochs : int, default=0
        If positive, the copy is trained for this number of epochs, with a new optimizer of the same class and
        batches of 32, and checked again: initial weights near zero can hide a fault.

    Returns
    -------
    GradientCheck
        The result with `difference`, `layers`, `faults`, `verdict` and `worst`; it prints as a table.

    Raises
    ------
    TypeError, ValueError
        If an argument is not valid; if the model is not compiled, has no trainable weights or cannot be
        copied in float64; if a layer of the copy computes in a less precise float type; or if the loss is not
        finite or is random.
    NotImplementedError
        On a backend other than TensorFlow and JAX.

    Notes
    -----
    At a kink, such as that of ReLU at 0, a numerical gradient has no meaning. If the two gradients differ,
    the numerical one is measured again with a step a hundredth as long, and the automatic gradient is
    accepted if it lies between the slopes to the left and to the right. A gradient that is stopped or
    replaced on purpose (`ops.stop_gradient`, a straight-through estimator) is reported as wrong, because it
    is not the gradient of the loss.

    References
    ----------
    A. Ng, Improving Deep Neural Networks, week 1, "Gradient checking".

    W. H. Press et al., Numerical Recipes, section 5.7, on the choice of the step.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp import build_model
    >>> from kerashp.diagnostics import check_gradients
    >>> X = np.random.default_rng(0).normal(size=(20, 8))
    >>> result = check_gradients(build_model(1, 10, l2=0.01), X, X[:, 0], random_state=0)
    >>> result.verdict, result.difference < 1e-7
    ('right', True)
    """
    epsilon = _CHECK.positive("epsilon", epsilon)
    after_epochs = _CHECK.integer("after_epochs", after_epochs, at_least=0)
    if n_weights is not None:
        n_weights = _CHECK.integer(
            "n_weights", n_weights, at_least=1, expected="an integer >= 1 or None (all)"
        )
    check_model(_CHECK, model, compiled=True)
    rng = _random_generator(random_state)
    with in_float64("check_gradients", int(rng.integers(2**31))), without_retracing_warnings():
        data = as_model_data(_CHECK, x, y, sample_weight)
        copy = compile_copy(model, float64_copy("check_gradients", model, data.x))
        if not copy.trainable_variables:
            raise ValueError(f"check_gradients: the model {model.name!r} has no trainable weights to check")
        result = _GradientChecker(copy, data, epsilon, rng, n_weights).check(0, None)
        if after_epochs:
            copy.fit(*data[:2], sample_weight=data.sample_weight, epochs=after_epochs, verbose=0)
            result = _GradientChecker(copy, data, epsilon, rng, n_weights).check(after_epochs, result)
    return result


def _random_generator(random_state: Any) -> np.random.Generator:
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        expected = "None, an integer >= 0 or a numpy.random.Generator"
        raise _CHECK.wrong_value("random_state", expected, random_state) from error
