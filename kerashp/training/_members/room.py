"""The sizes of a compiled program, which several populations of that size or less can share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kerashp._compat.keras import flatten_layers

Units = tuple[int, ...]


@dataclass(frozen=True)
class Room:
    """How large a population's program is: how many members a block has, and how wide they are.

    Populations of one room share one program, whatever the widths of their members, if all else is alike: see
    `Population`.

    Parameters
    ----------
    n_members : int
        Members of a block; any number of blocks train by one program.
    units : tuple of int
        The units of each Dense layer of the model, in its order (`units_of`).
    spare : tuple of bool
        In which of these layers members may have fewer units.
    validates : bool, default=False
        Whether the program can validate, even if no member does.

    Examples
    --------
    >>> room = Room.of([(30, 1), (50, 1)], n_members=6)
    >>> room.units, room.spare
    ((50, 1), (True, False))
    >>> room.holds((40, 1)), room.holds((60, 1)), room.holds((40, 2))
    (True, False, False)
    """

    n_members: int
    units: Units
    spare: tuple[bool, ...]
    validates: bool = False

    @classmethod
    def of(cls, units: Sequence[Units], n_members: int, validates: bool = False) -> "Room":
        """The least room for members of these widths."""
        layers = list(zip(*units, strict=True))
        spare = tuple(len(set(widths)) > 1 for widths in layers)
        return cls(n_members, tuple(map(max, layers)), spare, validates)

    def holds(self, units: Units) -> bool:
        """Whether a member of these widths can be trained by such a program."""
        return len(units) == len(self.units) and all(
            width == widest or (spare and width < widest)
            for width, widest, spare in zip(units, self.units, self.spare, strict=True)
        )

    def n_blocks(self, n_members: int) -> int:
        """The number of blocks of `n_members` members; the last is filled up."""
        return -(-n_members // self.n_members)


def units_of(model: Any) -> Units:
    """The units of each of the model's Dense layers."""
    return tuple(layer.units for layer in dense_of(model))


def dense_of(model: Any) -> list[Any]:
    """The model's Dense layers, in its order."""
    return [layer for layer in flatten_layers(model) if type(layer) is keras.layers.Dense]
