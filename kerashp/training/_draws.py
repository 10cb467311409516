"""The random numbers of dropout, drawn for many steps at once and outside of the compiled step.

Inside it they would cost more than a small network's arithmetic, and on TensorFlow they have no form that is
mapped over members.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from kerashp.training._layers import dropouts_of
from kerashp.training._numbers import Number

_LEVELS = 2**16  # a rate is met to one part in so many


class Draws:
    """Which units a population's Dropout layers keep.

    Parameters
    ----------
    model : keras.Model
        Of the members' shape.
    numbers : list of Number
        The model's, the rates of its Dropout layers among them.
    constants : list of arrays of shape (n_members, ...)
        The members' own values of these.
    """

    def __init__(self, model: Any, numbers: Sequence[Number], constants: Sequence[Any]):
        layers = dropouts_of(model)
        states = [id(variable) for variable in model.non_trainable_variables]
        owners = [id(number.places[0][0]) for number in numbers]
        self._states = [states.index(id(layer.seed_generator.state)) for layer in layers]
        self._rates = [ops.convert_to_numpy(constants[owners.index(id(vars(layer)))]) for layer in layers]
        self._shapes = list(layers.values())

    def kept(self, others: Sequence[Any], n_steps: int, n_rows: int, most_steps: int) -> list[np.ndarray]:
        """Bools of shape `(most_steps, n_members, n_rows, ...)` for each layer, of which `n_steps` are drawn.

        `others` are the members' non-trainable variables, which hold each layer's seed and how often it drew.
        """
        drawn = []
        for state, rates, shape in zip(self._states, self._rates, self._shapes, strict=True):
            units = np.zeros((most_steps, len(rates), n_rows, *shape), bool)
            for member, (seed, before) in enumerate(ops.convert_to_numpy(others[state])):
                units[:n_steps, member] = kept(
                    int(seed), int(before), n_steps, (n_rows, *shape), rates[member]
                )
            drawn.append(units)
        return drawn


def kept(seed: int, before: int, n_steps: int, shape: tuple[int, ...], rate: float) -> np.ndarray:
    """Units to keep in steps `before` to `before + n_steps`: a function of seed, step and place alone."""
    size = int(np.prod(shape))
    words = -(-size // 4)
    bits = np.random.PCG64(seed).advance(before * words)
    drawn = np.random.Generator(bits).integers(0, 2**64, (n_steps, words), np.uint64)
    return (drawn.view(np.uint16)[:, :size] >= round(rate * _LEVELS)).reshape(n_steps, *shape)
