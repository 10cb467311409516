"""The random numbers of dropout, drawn for many steps at once and outside of the compiled step.

Inside it they would cost more than a small network's arithmetic, and on TensorFlow they have no form that is
mapped over members.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from kerashp.training._keras.layers import dropouts_of

_LEVELS = 2**16  # a rate is met to one part in so many


class Draws:
    """Which units a population's Dropout layers keep.

    Parameters
    ----------
    model : keras.Model
        Of the members' shape.
    rates : list of arrays of shape (n_members,)
        The members' rates of each layer.
    units : list of bool arrays of shape (n_members, width), or None
        The units that each member has where the layer is; None: all.
    """

    def __init__(self, model: Any, rates: Sequence[np.ndarray], units: Sequence[np.ndarray | None]):
        layers = dropouts_of(model)
        states = [id(variable) for variable in model.non_trainable_variables]
        self._states = [states.index(id(layer.seed_generator.state)) for layer in layers]
        self._shapes = list(layers.values())
        self._rates = rates
        self._units = units
        self._seeds: list[np.ndarray] = []

    def begin(self, others: Sequence[Any]) -> None:
        """Draw from where the members' non-trainable variables are: each layer's seed, and its count."""
        self._seeds = [ops.convert_to_numpy(others[state]).astype(np.int64) for state in self._states]

    def kept(self, steps: np.ndarray, n_rows: int) -> list[np.ndarray]:
        """Bools of shape `(n_steps, n_members, n_rows, ...)` for each layer: the units kept.

        `steps`, of shape `(n_steps, n_members)`, says which steps each member takes part in; it draws for
        those, and its count moves on by as many.
        """
        return [self._of_layer(layer, steps, n_rows) for layer in range(len(self._states))]

    def _of_layer(self, layer: int, steps: np.ndarray, n_rows: int) -> np.ndarray:
        *others, width = self._shapes[layer]
        units = self._units[layer]
        drawn = np.zeros((*steps.shape, n_rows, *others, width), bool)
        for member, (seed, before) in enumerate(self._seeds[layer]):
            at = np.flatnonzero(steps[:, member])
            real = np.ones(width, bool) if units is None else units[member]
            shape = (n_rows, *others, int(real.sum()))
            own = kept(seed, before, len(at), shape, self._rates[layer][member])
            drawn[at, member] = own if real.all() else _spread(own, real)
        self._seeds[layer][:, 1] += steps.sum(axis=0)
        return drawn


def _spread(own: np.ndarray, real: np.ndarray) -> np.ndarray:
    """A member's units among those that it lacks."""
    spread = np.zeros((*own.shape[:-1], len(real)), bool)
    spread[..., real] = own
    return spread


def kept(seed: int, before: int, n_steps: int, shape: tuple[int, ...], rate: float) -> np.ndarray:
    """Units to keep in steps `before` to `before + n_steps`: a function of seed, step and place alone."""
    size = int(np.prod(shape))
    words = -(-size // 4)
    bits = np.random.PCG64(int(seed)).advance(int(before) * words)
    drawn = np.random.Generator(bits).integers(0, 2**64, (n_steps, words), np.uint64)
    return (drawn.view(np.uint16)[:, :size] >= round(rate * _LEVELS)).reshape(n_steps, *shape)
