"""`check_gradients`: are a model's automatic gradients those of its loss?"""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerashp._arguments import Arguments
from kerashp.diagnostics._foundations.copies import compiled_like, float64_copy, in_float64
from kerashp.diagnostics._foundations.passes import (
    Pass,
    Place,
    Rows,
    checked_model,
    checked_rows,
    layers_of,
    tapped,
)
from kerashp.diagnostics._foundations.slopes import Slopes
from kerashp.diagnostics._gradients.result import (
    GradientCheck,
    Gradients,
    LayerGradients,
    together,
    when,
)
from kerashp.training import without_retracing_warnings
from kerashp.training._runtime.backend import backend

_CHECK = Arguments("check_gradients")

_DIRECTIONS = 3  # random ones, along which what passes between layers is moved


class _Directions:
    """Moves what goes into the layers and comes out of them, along random directions."""

    def __init__(self, rng: np.random.Generator):
        self._rng = rng
        self.places: list[Place] = []  # in the order of the pass
        self.dtypes: dict[str, str] = {}  # by layer, of what passed last
        self._amounts: Any = None
        self._drawn: list[Any] = []

    def begin(self, amounts: Any) -> None:
        """Before a pass: how far to move, of shape `(n_places * _DIRECTIONS,)`; None in the first pass."""
        self._amounts = amounts
        self.places = []

    def __call__(self, place: Place, tensor: Any) -> Any:
        index = len(self.places)
        self.places.append(place)
        self.dtypes[place.layer] = keras.backend.standardize_dtype(tensor.dtype)
        if self._amounts is None:  # kept from the first pass, so that they are not compiled in
            self._drawn.append(ops.convert_to_tensor(self._rng.normal(size=(_DIRECTIONS, *tensor.shape))))
            return tensor
        own = self._amounts[index * _DIRECTIONS : (index + 1) * _DIRECTIONS]
        return tensor + ops.tensordot(own, self._drawn[index], axes=1)


def _check_precision(dtypes: dict[str, str]) -> None:
    for name, dtype in dtypes.items():
        if dtype != "float64":
            raise ValueError(
                f"check_gradients: the layer {name!r} computes in {dtype} even in a float64 copy of the "
                "model, which is too coarse; let its __init__ pass dtype on (by **kwargs), and cast to "
                "self.compute_dtype"
            )


class _Checking:
    """Checks one copy, at the weights that it has."""

    def __init__(
        self, copy: Any, rows: Rows, epsilon: float, rng: np.random.Generator, n_weights: int | None
    ):
        self._copy = copy
        self._rows = rows
        self._pass = Pass(copy, rows)
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
                "check_gradients: the loss must be finite for it to have gradients; "
                f"got {loss} {when(epochs)}"
            )
        self._pass = Pass(self._copy, self._rows)  # with the variables that a loss makes in its first call
        moved = list(self._directions.places)
        own, between = self._compared(weights, len(moved))
        layers = tuple(self._by_layer(own))
        every = together("all", own)
        faults = _faults(layers, moved, between) if any(layer.is_bad for layer in layers) else ()
        return GradientCheck(every.difference, layers, faults, loss, epochs, before)

    def _loss(self, weights: Sequence[Any], amounts: Any) -> Any:
        self._directions.begin(amounts)
        with tapped(self._copy, self._directions):
            return self._pass.loss(weights)

    def _compared(self, weights: list[np.ndarray], n_moved: int) -> tuple[list[Gradients], list[Gradients]]:
        """The gradients of the weights, and those of what passes between layers."""
        parts = [*weights, np.zeros(n_moved * _DIRECTIONS)]
        automatic = self._automatic(parts)
        slopes = Slopes(
            lambda theta: self._loss_of(_split(theta, parts)), np.concatenate(list(map(np.ravel, parts)))
        )
        if slopes.is_random:
            raise ValueError(
                "check_gradients: the loss at the same weights and rows is not the same twice, even without "
                "dropout; let layers draw random numbers only where training=True"
            )
        places = [*self._places, np.arange(parts[-1].size)]
        found = []
        first = 0
        for part, own, supposed in zip(parts, places, automatic, strict=True):
            scale = np.full(len(own), np.abs(supposed).max(initial=0))
            numerical, rounding = slopes.measured(own + first, self._epsilon, supposed[own], scale)
            found.append(Gradients("", part.shape, own, supposed[own], numerical, rounding))
            first += part.size
        return found[:-1], list(_by_direction(found[-1]))

    def _loss_of(self, parts: Sequence[Any]) -> Any:
        return self._loss(parts[:-1], parts[-1])

    def _automatic(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        def gradients(*tensors: Any) -> list[Any]:
            found = backend().value_and_grad(lambda parts: (self._loss_of(parts), ()), list(tensors))[2]
            both = zip(tensors, found, strict=True)
            return [ops.zeros_like(part) if gradient is None else gradient for part, gradient in both]

        found = backend().for_any_rows(gradients, parts, 0)(*parts)
        return [ops.convert_to_numpy(gradient).ravel() for gradient in found]

    def _by_layer(self, gradients: Sequence[Gradients]) -> Iterator[LayerGradients]:
        of = {id(variable): gradient for variable, gradient in zip(self._variables, gradients, strict=True)}
        homes = [*layers_of(self._copy).items(), (self._copy.name, self._copy)]
        for name, layer in homes:
            own = [variable for variable in layer.trainable_variables if id(variable) in of]
            if own:
                yield LayerGradients(name, tuple(_named(of.pop(id(each)), each, layer) for each in own))


def _named(gradients: Gradients, variable: Any, layer: Any) -> Gradients:
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


def _by_direction(gradients: Gradients) -> Iterator[Gradients]:
    """Apart for each place between layers."""
    for first in range(0, len(gradients.places), _DIRECTIONS):
        part = slice(first, first + _DIRECTIONS)
        arrays = [each[part] for each in list(vars(gradients).values())[2:]]
        yield Gradients("", (_DIRECTIONS,), *arrays)


def _faults(
    layers: Sequence[LayerGradients], moved: Sequence[Place], between: Sequence[Gradients]
) -> tuple[str, ...]:
    """The layers that get a right gradient from behind and give a wrong one."""
    wrong = {place for place, each in zip(moved, between, strict=True) if each.is_bad}
    misled = {place.layer for place in wrong if place.side == "out"}
    givers = {
        place.layer for place in wrong if place.side == "in" and place._replace(side="out") not in wrong
    }
    givers |= {layer.name for layer in layers if layer.is_bad and layer.name not in misled}
    names = dict.fromkeys([*(place.layer for place in moved), *(layer.name for layer in layers)])
    return tuple(name for name in names if name in givers) or ("loss",)


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
    r"""Compare a model's automatic gradients with those that its loss itself shows.

    For each weight $w$ the loss $J$, penalties included, is taken a little to either side,

    $$g_{num} = \frac{J(w + h) - J(w - h)}{2h}, \qquad h = \mathrm{epsilon} \cdot \max(1, |w|),$$

    $$\mathrm{difference} =
    \frac{\lVert g_{num} - g_{auto} \rVert}{\lVert g_{num} \rVert + \lVert g_{auto} \rVert},$$

    over all weights and by layer: at most 1e-7 is "right", from 1e-5 says "look", from 1e-3 "wrong"; between
    the first two is "fine". Where a layer's gradients are so small that the rounding of $J$ makes the
    difference, it is "right" too. Which layer is at fault, one without weights among them, is found by moving
    what goes into each layer and comes out of it along random directions.

    All is computed in float64, on a copy that has the model's weights; the model stays as it is. Dropout and
    the like are off, as at prediction, but BatchNormalization takes the mean and variance of the rows, as in
    training. Where a layer draws random numbers at prediction, it must do so from a
    `keras.random.SeedGenerator`.

    Parameters
    ----------
    model : keras.Model
        Compiled; its loss, loss weights, penalties and added losses are what is checked. One not built yet is
        checked with weights drawn by its initializers, and stays unbuilt. A class of your own must have
        `get_config` and `from_config`, as for saving it.
    x, y : arrays of shape (n_rows, ...), or lists or dicts of them
        The rows to take the loss of: some tens will do. The time is that of two or so predictions of all rows
        for each weight that is checked.
    epsilon : float, default=1e-5
        The step, for weights of up to 1 in size. In float64 the error of the numerical gradient is least near
        the third root of the rounding error, 6e-6: more makes it too curved, less too coarse.
    sample_weight : array of shape (n_rows,), default=None
        Multiplies the loss of each row.
    n_weights : int or None, default=1000
        How many numbers of each weight array are checked, drawn at random; None: all.
    random_state : int, numpy.random.Generator or None, default=None
        Decides which weights are checked, the directions, and the training for `after_epochs`.
    after_epochs : int, default=0
        Train the copy for so many epochs, with a fresh optimizer of the model's kind and batches of 32, and
        check again: initial weights near zero can hide a fault.

    Returns
    -------
    GradientCheck
        With `difference`, `layers`, `faults`, `verdict` and `worst`; it prints as a table.

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be used; the model is not compiled, has no trainable weights or cannot be made
        anew in float64; a layer computes in a coarser float type all the same; the loss is not finite, or
        random.
    NotImplementedError
        On a backend other than TensorFlow and JAX.

    Notes
    -----
    At a kink, such as ReLU has at 0, a numerical gradient says nothing. Where the two gradients differ, the
    measure is taken again with a step a hundredth as long, and any slope between that to the left and that to
    the right is right. A gradient that is stopped or replaced on purpose (`ops.stop_gradient`, a
    straight-through estimator) is reported as wrong: it is not the loss's.

    References
    ----------
    A. Ng, Improving Deep Neural Networks, week 1, "Gradient checking".

    W. H. Press et al., Numerical Recipes, section 5.7, on the step.

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
    checked_model(_CHECK, model, compiled=True)
    rng = _generator(random_state)
    with in_float64("check_gradients", int(rng.integers(2**31))), without_retracing_warnings():
        rows = checked_rows(_CHECK, x, y, sample_weight)
        copy = compiled_like(model, float64_copy("check_gradients", model, rows.x))
        if not copy.trainable_variables:
            raise ValueError(f"check_gradients: the model {model.name!r} has no trainable weights to check")
        result = _Checking(copy, rows, epsilon, rng, n_weights).check(0, None)
        if after_epochs:
            copy.fit(*rows[:2], sample_weight=rows.sample_weight, epochs=after_epochs, verbose=0)
            result = _Checking(copy, rows, epsilon, rng, n_weights).check(after_epochs, result)
    return result


def _generator(random_state: Any) -> np.random.Generator:
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        expected = "None, an integer >= 0 or a numpy.random.Generator"
        raise _CHECK.wrong_value("random_state", expected, random_state) from error
