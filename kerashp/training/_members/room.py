"""The sizes of a compiled program, which several populations of that size or less can share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kerashp._compat.keras import flatten_layers
from kerashp.layers import CategoricalColumns, HeadAffine, HeadOutputs, HeadScale

Units = tuple[int, ...]

# The layers with a kernel for the units of the layer before.
DENSE = (keras.layers.Dense, HeadOutputs)

_OF_HEADS = (HeadAffine, HeadOutputs, HeadScale)

# The attributes of layers that are widths: members of a population may have less of them.
WIDTHS: dict[type, tuple[str, ...]] = {
    **dict.fromkeys(DENSE, ("units",)),
    CategoricalColumns: ("n_one_hot_categories", "n_embedded_categories", "embedding_dim"),
}
WIDTHS_BY_NAME = {kind.__name__: names for kind, names in WIDTHS.items()}


@dataclass(frozen=True)
class Room:
    """How large a population's program is: how many members a block has, and how wide and deep they are.

    Populations of one room share one program, whatever the widths and depths of their members, if all else is
    alike: see `Population`.

    Parameters
    ----------
    n_members : int
        Members of a block; any number of blocks train by one program.
    units : tuple of int
        The units of each Dense layer of the model, in its order (`units_of`); before them, of a
        `CategoricalColumns`, its numbers of categories and the length of their embeddings.
    spare : tuple of bool
        In which of these layers members may have fewer units.
    validates : bool, default=False
        Whether the program can validate, even if no member does.
    spare_layers : int, default=0
        How many of the last hidden Dense layers members may lack; these have spare units. A layer that a
        member lacks passes on the outputs of the member's last hidden layer, and is as wide as that or wider.
    columns : tuple of int, default=()
        The columns of the input by kind (`columns_of`); empty: all members have the same.
    spare_columns : bool, default=False
        Whether members may have fewer columns of each kind.

    Examples
    --------
    >>> room = Room.of([(30, 1), (50, 1)], n_members=6)
    >>> room.units, room.spare
    ((50, 1), (True, False))
    >>> room.holds((40, 1)), room.holds((60, 1)), room.holds((40, 2))
    (True, False, False)
    >>> room = Room.of([(30, 1), (50, 20, 1)], n_members=6)
    >>> room.units, room.spare_layers
    ((50, 30, 1), 1)
    >>> room.holds((30, 1)), room.holds((40, 1)), room.holds((9, 9, 9, 1))
    (True, False, False)
    """

    n_members: int
    units: Units
    spare: tuple[bool, ...]
    validates: bool = False
    spare_layers: int = 0
    columns: Units = ()
    spare_columns: bool = False

    @classmethod
    def of(
        cls,
        units: Sequence[Units],
        n_members: int,
        validates: bool = False,
        columns: Sequence[Units] = ((),),
    ) -> "Room":
        """The least room for members of these widths.

        Parameters
        ----------
        units : list of tuple of int
            The units of the Dense layers of each member.
        n_members : int
            Members of a block.
        validates : bool, default=False
            Whether the program can validate, even if no member does.
        columns : list of tuple of int, default=((),)
            The columns of the input of each member.

        Returns
        -------
        Room
            As wide and deep as the widest and deepest member.
        """
        n_layers = max(map(len, units))
        spare_layers = n_layers - min(map(len, units))
        layers = list(zip(*[deepened(own_units, n_layers) for own_units in units], strict=True))
        missing = missing_layers(n_layers, spare_layers)
        spare = tuple(len(set(widths)) > 1 or index in missing for index, widths in enumerate(layers))
        most = tuple(map(max, zip(*columns, strict=True)))
        differ = len(set(columns)) > 1
        return cls(n_members, tuple(map(max, layers)), spare, validates, spare_layers, most, differ)

    def holds(self, units: Units) -> bool:
        """Whether a member of these widths can be trained by such a program.

        Parameters
        ----------
        units : tuple of int
            The units of its Dense layers.

        Returns
        -------
        bool
            True if it has a place.
        """
        n_layers = len(self.units)
        return 0 <= n_layers - len(units) <= self.spare_layers and all(
            width == widest or (spare and width < widest)
            for width, widest, spare in zip(deepened(units, n_layers), self.units, self.spare, strict=True)
        )

    def holds_columns(self, columns: Units) -> bool:
        """Whether a member with these columns of its input can be trained by such a program.

        Parameters
        ----------
        columns : tuple of int
            The columns by kind.

        Returns
        -------
        bool
            True if they are those of the room, or fewer where it has spare ones.
        """
        if not self.spare_columns:
            return columns == self.columns
        return len(columns) == len(self.columns) and all(
            own <= most for own, most in zip(columns, self.columns, strict=True)
        )

    def n_blocks(self, n_members: int) -> int:
        """The number of blocks of `n_members` members; the last is filled up.

        Parameters
        ----------
        n_members : int
            Members of a population.

        Returns
        -------
        int
            The number.
        """
        return -(-n_members // self.n_members)


def units_of(model: Any) -> Units:
    """The units of each of the model's Dense layers, and the widths of a `CategoricalColumns` before them.

    Parameters
    ----------
    model : keras.Model
        Built or not.

    Returns
    -------
    tuple of int
        In the model's order of layers.

    Examples
    --------
    >>> from kerashp import build_model
    >>> from kerashp.training import units_of
    >>> units_of(build_model(2, 30))
    (30, 30, 1)
    """
    return tuple(getattr(layer, name) for layer, name in width_places(model))


def width_places(model: Any) -> list[tuple[Any, str]]:
    """Where the model has its widths: the layers and the names of their attributes, in the model's order."""
    layers = flatten_layers(model)
    return [(layer, name) for layer in layers for name in WIDTHS.get(type(layer), ())]


def dense_of(model: Any) -> list[Any]:
    """The model's Dense layers, in its order; the output of heads is one of them."""
    return [layer for layer in flatten_layers(model) if type(layer) in DENSE]


def head_layers_of(model: Any) -> list[Any]:
    """The layers of a network of several heads that have weights of each head."""
    return [layer for layer in flatten_layers(model) if type(layer) in _OF_HEADS]


def last_hidden_weights(model: Any) -> slice:
    """Which of a model's trainable weights are of the last hidden layer.

    >>> from kerashp import build_model
    >>> last_hidden_weights(build_model(3, 30))
    slice(4, 6, None)
    """
    layers, dense = flatten_layers(model), dense_of(model)
    if len(dense) < 2:
        return slice(0, 0)
    first = layers.index(dense[-2])
    first -= type(layers[first - 1]) is HeadScale
    last_hidden = layers[first : layers.index(dense[-1])]
    own_weights = {id(variable) for layer in last_hidden for variable in layer.variables}
    places = [index for index, v in enumerate(model.trainable_variables) if id(v) in own_weights]
    return slice(places[0], places[-1] + 1) if places else slice(0, 0)


def deepened(units: Units, n_layers: int) -> Units:
    """The units of so many Dense layers, where those that a member lacks are as wide as its last hidden one.

    >>> deepened((50, 20, 1), 5)
    (50, 20, 20, 20, 1)
    """
    return units[:-1] + units[-2:-1] * (n_layers - len(units)) + units[-1:]


def missing_layers(n_layers: int, n_missing: int) -> range:
    """Which of the Dense layers are missing where the last `n_missing` hidden ones are.

    >>> list(missing_layers(5, 2))
    [2, 3]
    """
    return range(n_layers - 1 - n_missing, n_layers - 1)
