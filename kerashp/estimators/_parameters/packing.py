"""Keras objects in parameters, also of custom classes, in a form that can be copied and pickled."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cloudpickle
import keras

from kerashp.estimators._data.models import PackedModel, pack, unpack

_OBJECTS = (keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer)


@dataclass(frozen=True)
class PackedObject:
    """The class and the configuration of a loss, a metric or an optimizer."""

    cls: type
    config: dict[str, Any]

    def __reduce__(self) -> Any:
        return _packed_object, (cloudpickle.dumps((self.cls, self.config)),)


def _packed_object(content: bytes) -> PackedObject:
    return PackedObject(*cloudpickle.loads(content))


def pack_objects(value: Any) -> Any:
    """Pack the models, losses, metrics and optimizers in a value, also inside lists and dicts."""
    if isinstance(value, keras.Model):
        return pack(value)
    if isinstance(value, _OBJECTS) and not isinstance(value, keras.optimizers.LossScaleOptimizer):
        return _pack_object(value)
    return _map_items(value, pack_objects)


def unpack_objects(value: Any) -> Any:
    """Undo `pack_objects`."""
    if isinstance(value, PackedModel):
        return unpack(value)
    if isinstance(value, PackedObject):
        return value.cls.from_config(value.config)  # type: ignore[attr-defined]
    return _map_items(value, unpack_objects)


def custom_classes(value: Any) -> dict[str, Any]:
    """The custom classes, by name, of the Keras objects in a value, also inside lists and dicts."""
    classes: dict[str, Any] = {}

    def collect(item: Any) -> Any:
        if isinstance(item, _OBJECTS) and type(item).__module__.partition(".")[0] != "keras":
            classes[type(item).__name__] = type(item)
        return _map_items(item, collect)

    collect(value)
    return classes


def _pack_object(value: Any) -> Any:
    """Pack an object that has a usable configuration; leave any other to Keras."""
    try:
        packed = PackedObject(type(value), value.get_config())
        unpack_objects(packed)
    except (NotImplementedError, TypeError, ValueError):
        return value
    return packed


def _map_items(value: Any, change: Callable[[Any], Any]) -> Any:
    """A list, tuple or dict with `change` applied to its items; the same object if no item changes."""
    if type(value) not in (list, tuple, dict):
        return value
    items = list(value.values()) if isinstance(value, dict) else list(value)
    changed = [change(item) for item in items]
    if all(new is old for new, old in zip(changed, items, strict=True)):
        return value
    return dict(zip(value, changed, strict=True)) if isinstance(value, dict) else type(value)(changed)
