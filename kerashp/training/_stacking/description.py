"""Models of one family, which differ in widths, learning rate and values alone, as texts."""

import json
from dataclasses import dataclass
from typing import Any

from kerashp._compat.keras import flatten_layers
from kerashp.training._keras.identity import (
    beside_config,
    can_be_made_from_config,
    config_without_own_code,
    names_by_place,
    renamed,
    without_initial_values,
)
from kerashp.training._keras.numbers import numbers_of
from kerashp.training._members.room import WIDTHS_BY_NAME
from kerashp.training._stacking.padding import paddable_layers
from kerashp.training._stacking.repeated_layers import WIDTH
from kerashp.training._stacking.template import without_widths


@dataclass(frozen=True)
class Description:
    """What a model is, apart from the values of its variables.

    Attributes
    ----------
    family : str
        Equal for models that differ in the widths of layers that can be padded, the learning rate, names and
        values alone.
    """

    family: str
    _kind: type
    _config: str

    @classmethod
    def of(cls, model: Any) -> "Description | None":
        """The description of a compiled and built model.

        None where a model that is made from its config might differ from it: it contains code or attributes
        of the user's own.
        """
        config = config_without_own_code(model) if can_be_made_from_config(model) else None
        if config is None:
            return None
        text = json.dumps(config, default=lambda number: number.item())  # NumPy's numbers
        return cls(_family(model, json.loads(text)), type(model), text)

    def made(self) -> Any:
        """A model like it, compiled and built, with new initial values."""
        config = json.loads(self._config)
        model = self._kind.from_config(config["model"])  # type: ignore[attr-defined]
        model.compile_from_config(config["compile"])
        return model


def _family(model: Any, config: dict[str, Any]) -> str:
    padded = paddable_layers(model)
    for layer in config["model"]["layers"]:
        layer.pop("build_config", None)
        if layer["config"]["name"] in padded:
            layer["config"] |= dict.fromkeys(WIDTHS_BY_NAME[layer["class_name"]], WIDTH)
    config["model"] = without_widths(renamed(config["model"], names_by_place(model, flatten_layers(model))))
    config["model"]["name"] = None
    variables = [(len(v.shape), v.dtype, v.trainable) for v in model.variables]
    attributes = [sorted(vars(layer)) for layer in flatten_layers(model)]
    parts = [without_initial_values(config), variables, attributes, *beside_config(model, numbers_of(model))]
    return json.dumps(parts, sort_keys=True, default=repr)
