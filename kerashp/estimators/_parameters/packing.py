"""Keras' objects among parameters, in copies and pickles, of classes that Keras may have no name for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cloudpickle
import keras

from kerashp.estimators._data.models import PackedModel, pack, unpack

_OBJECTS = (keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer)


@dataclass(frozen=True)
class PackedObject:
    """A loss, a metric or an optimizer: its class, and the configuration that it is made from."""

    cls: type
    config: dict[str, Any]

    def __reduce__(self) -> Any:
        return _read, (cloudpickle.dumps((self.cls, self.config)),)


def _read(content: bytes) -> PackedObject:
    return PackedObject(*cloudpickle.loads(content))


def packed(value: Any) -> Any:
    """The value with models, losses, metrics and optimizers in it, also in lists and dicts, packed."""
    if isinstance(value, keras.Model):
        return pack(value)
    if isinstance(value, _OBJECTS) and not isinstance(value, keras.optimizers.LossScaleOptimizer):
        return _object(value)
    return _inside(value, packed)


def unpacked(value: Any) -> Any:
    """What was packed."""
    if isinstance(value, PackedModel):
        return unpack(value)
    if isinstance(value, PackedObject):
        return value.cls.from_config(value.config)  # type: ignore[attr-defined]
    return _inside(value, unpacked)


def custom_classes(value: Any) -> dict[str, Any]:
    """The classes, by name, of Keras' objects in lists and dicts that are not Keras' own."""
    found: dict[str, Any] = {}

    def note(item: Any) -> Any:
        if isinstance(item, _OBJECTS) and type(item).__module__.partition(".")[0] != "keras":
            found[type(item).__name__] = type(item)
        return _inside(item, note)

    note(value)
    return found


def _object(value: Any) -> Any:
    """Packed, where it says how it is made; otherwise as it is, for Keras to save."""
    try:
        made = PackedObject(type(value), value.get_config())
        unpacked(made)
    except (NotImplementedError, TypeError, ValueError):
        return value
    return made


def _inside(value: Any, change: Callable[[Any], Any]) -> Any:
    """A list, tuple or dict of the changed items; anything else, and what does not change, as it is."""
    if type(value) not in (list, tuple, dict):
        return value
    items = list(value.values()) if isinstance(value, dict) else list(value)
    changed = [change(item) for item in items]
    if all(new is old for new, old in zip(changed, items, strict=True)):
        return value
    return dict(zip(value, changed, strict=True)) if isinstance(value, dict) else type(value)(changed)
