"""The random numbers of dropout, drawn for many steps at once and outside of the compiled step.

Inside it they would cost more than a small network's arithmetic, and TensorFlow cannot map them over members.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from kerashp.training._keras.layers import dropouts_of

_LEVELS = 2**16  # a rate is exact to one part in this number


class Draws:
    """Draws the units that a population's Dropout layers keep.

    Parameters
    ----------
    model : keras.Model
        A model of the members' graph shape.
    rates : list of arrays of shape (n_members,)
        The members' rates of each layer.
    unit_masks : list of bool arrays of shape (n_members, width), or None
        The units that each member has at each layer; None: all.
    """

    def __init__(self, model: Any, rates: Sequence[np.ndarray], unit_masks: Sequence[np.ndarray | None]):
        layers = dropouts_of(model)
        states = [id(variable) for variable in model.non_trainable_variables]
        self._states = [states.index(id(layer.seed_generator.state)) for layer in layers]
        self._shapes = list(layers.values())
        self._rates = rates
        self._unit_masks = unit_masks
        self._seeds: list[np.ndarray] = []

    def begin(self, non_trainable: Sequence[Any]) -> None:
        """Begin with the seeds and counts that are among the members' non-trainable variables."""
        self._seeds = [ops.convert_to_numpy(non_trainable[i]).astype(np.int64) for i in self._states]

    def kept_units(
        self, steps: np.ndarray, n_rows: int, factors: np.ndarray | None = None
    ) -> list[np.ndarray]:
        """Bools of shape `(n_steps, n_members, n_rows, ...)` for each layer: whether a unit is kept.

        `steps`, bools of shape `(n_steps, n_members)`, says which steps each member takes part in; units are
        drawn for those, and the member's count rises by their number. `factors`, of that shape, multiply the
        rates.
        """
        return [self._of_layer(layer, steps, n_rows, factors) for layer in range(len(self._states))]

    def _of_layer(self, layer: int, steps: np.ndarray, n_rows: int, factors: np.ndarray | None) -> np.ndarray:
        *axes, width = self._shapes[layer]
        masks = self._unit_masks[layer]
        kept_units = np.zeros((*steps.shape, n_rows, *axes, width), bool)
        for member, (seed, count) in enumerate(self._seeds[layer]):
            rows = np.flatnonzero(steps[:, member])
            mask = np.ones(width, bool) if masks is None else masks[member]
            rate = self._rates[layer][member]
            if rate == 0:  # or it lacks the layer
                kept_units[rows, member] = mask
                continue
            shape = (n_rows, *axes, int(mask.sum()))
            rates = rate if factors is None else rate * factors[rows, member]
            draw = draw_kept_units(seed, count, len(rows), shape, rates)
            kept_units[rows, member] = draw if mask.all() else _among_missing_units(draw, mask)
        self._seeds[layer][:, 1] += steps.sum(axis=0)
        return kept_units


def _among_missing_units(units: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A member's units at their places, with False for those that it lacks."""
    all_units = np.zeros((*units.shape[:-1], len(mask)), bool)
    all_units[..., mask] = units
    return all_units


def draw_kept_units(
    seed: int, first_step: int, n_steps: int, shape: tuple[int, ...], rate: float | np.ndarray
) -> np.ndarray:
    """The units to keep in `n_steps` steps: a function of seed, step and place alone.

    The rate is a number, or an array of the rates of each step.
    """
    size = int(np.prod(shape))
    n_words = -(-size // 4)
    bits = np.random.PCG64(int(seed)).advance(int(first_step) * n_words)
    words = np.random.Generator(bits).integers(0, 2**64, (n_steps, n_words), np.uint64)
    limits: Any = np.rint(np.asarray(rate) * _LEVELS).astype("int32")
    limits = limits[:, None] if limits.ndim else int(limits)
    return (words.view(np.uint16)[:, :size] >= limits).reshape(n_steps, *shape)
