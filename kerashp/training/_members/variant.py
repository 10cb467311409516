"""A network that differs from a model of its graph shape in widths, numbers and values alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerashp.training._members.room import WIDTHS, Units


@dataclass(frozen=True)
class Variant:
    """The differences of a network from a model of its graph shape, so that the network need not be built.

    Parameters
    ----------
    units : tuple of int
        The units of each of its Dense layers; see `units_of`.
    numbers : dict from tuple of str to float
        Numbers of all layers that have them, by the attributes that lead to them: `("rate",)` of Dropout,
        `("kernel_regularizer", "l2")`, `("optimizer", "momentum")`. A number is 0 on the network if, and only
        if, it is on the model.
    values : list of list of ndarray
        The values of its trainable variables, its other variables and its optimizer's, in Keras' order.
    learning_rate : float
        The value of its optimizer's learning rate among these.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp import build_model
    >>> from kerashp.training import Member, Population
    >>> X, model = np.ones((64, 2), "float32"), build_model(1, 4, 0.1, input_shape=2)
    >>> weights = [np.zeros(shape, "float32") for shape in ((2, 3), (3,), (3, 1), (1,))]
    >>> optimizer = [np.array(0), np.array(0.01, "float32")]
    >>> variant = Variant((3, 1), {}, [weights, [], optimizer], 0.01)
    >>> trained = Population([Member(model), Member(model, variant=variant)], X, X[:, 0]).train(epochs=2)
    >>> [member.n_epochs for member in trained]
    [2, 2]
    """

    units: Units
    numbers: Mapping[tuple[str, ...], float]
    values: list[list[np.ndarray]]
    learning_rate: float

    def of_layers(self, layers: Sequence[Any]) -> list[Any]:
        """The model's layers as the network has them; None stays None.

        Parameters
        ----------
        layers : list of keras.layers.Layer or None
            Layers of the model.

        Returns
        -------
        list
            Each with the network's widths and numbers.
        """
        units = iter(self.units)
        overlays = []
        for layer in layers:
            attributes: dict[str, Any] = {} if layer is None else self._numbers_of(layer)
            attributes |= {name: next(units) for name in WIDTHS.get(type(layer), ())}
            overlays.append(_Overlay(layer, attributes) if attributes else layer)
        return overlays

    def _numbers_of(self, layer: Any) -> dict[str, Any]:
        attributes: dict[str, Any] = {}
        for (name, *path), number in self.numbers.items():
            owner = attributes.get(name, getattr(layer, name, None))
            if owner is None:
                continue
            if not path:
                attributes[name] = number
            elif getattr(owner, path[0], None) is not None:
                overlay = owner if isinstance(owner, _Overlay) else _Overlay(owner, {})
                overlay.attributes[path[0]] = number
                attributes[name] = overlay
        return attributes


class _Overlay:
    """An object with other values of some attributes."""

    def __init__(self, target: Any, attributes: dict[str, Any]):
        self._target = target
        self.attributes = attributes

    def __getattr__(self, name: str) -> Any:
        attributes = vars(self)["attributes"]
        return attributes[name] if name in attributes else getattr(self._target, name)
