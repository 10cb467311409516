"""The reasons why a model's training cannot be compiled, as texts."""

import re
from typing import Any

import keras

from kerashp._compat.keras import flatten_layers
from kerashp.training._keras.data import are_arrays, leaves
from kerashp.training._keras.hooks import batch_hook, flat_callbacks
from kerashp.training._keras.optimizers import optimizer_obstacle
from kerashp.training._runtime.backend import backend, supported
from kerashp.training._runtime.devices import device_memory

_STEPS = ("train_step", "test_step", "fit", "evaluate", "make_train_function", "make_test_function")
_SHARE_OF_MEMORY = 0.5
_MAX_LETTERS = 400
_NOT_OF_XLA = re.compile(r"(\w+) \(No registered")  # in XLA's message of operations that it lacks


def obstacle(model: Any, call: dict[str, Any]) -> str | None:
    """Why only `Model.fit` can train this model with these arguments of it; None: no reason is known."""
    return of_model(model) or _of_call(call)


def of_model(model: Any) -> str | None:
    """Why this model cannot be trained by compiled epochs, whatever the data; None: no reason is known."""
    return _of_backend(model) or _of_parts(model)


def _of_backend(model: Any) -> str | None:
    if not supported():
        return f"kerashp has no compiled training on the {keras.backend.backend()} backend"
    if keras.distribution.distribution() is not None or backend().distributed(model):
        return "a distribution strategy is set"
    return None


def _of_parts(model: Any) -> str | None:
    for name in _STEPS:
        if getattr(type(model), name) is not getattr(keras.Model, name) or name in vars(model):
            return f"{type(model).__name__} overrides {name}"
    reason = optimizer_obstacle(model.optimizer)
    if reason:
        return reason
    if model.run_eagerly:
        return "run_eagerly=True runs every batch without compiling it"
    if not backend().ONLY_XLA and backend().device_kind() == "cpu":
        return None
    without_xla = [type(layer).__name__ for layer in flatten_layers(model) if not layer.supports_jit]
    return f"XLA does not compile {without_xla[0]}" if without_xla else None


def of_data(data: Any, validation_data: Any) -> str | None:
    """Why these data cannot be placed on the device; None where they can."""
    if not are_arrays(*data):
        return f"the data are not dense arrays but {_type_names(data)}"
    if validation_data is None or (
        isinstance(validation_data, list | tuple) and are_arrays(*validation_data)
    ):
        return None
    return f"validation_data are not dense arrays but {_type_names(validation_data)}"


def _of_call(call: dict[str, Any]) -> str | None:
    reason = of_data((call["x"], call["y"], call["sample_weight"]), call["validation_data"])
    if reason:
        return reason
    for name in ("steps_per_epoch", "validation_steps"):
        if call[name] is not None:
            return f"{name}={call[name]} limits the batches of an epoch"
    if not isinstance(call["shuffle"], bool):
        return f"shuffle must be True or False; got {call['shuffle']!r}"
    if keras.config.max_epochs() or keras.config.max_steps_per_epoch():
        return "keras.config limits epochs or steps"
    hook = batch_hook(flat_callbacks(call["callbacks"]))
    return f"{hook} is called at every batch" if hook else None


def _type_names(data: Any) -> str:
    return ", ".join(dict.fromkeys(type(leaf).__name__ for leaf in leaves(data)))


def too_large(n_bytes: int) -> str | None:
    """Why data of this size cannot be placed on the device: they would fill too much of its memory."""
    memory = device_memory()
    if n_bytes <= _SHARE_OF_MEMORY * memory:
        return None
    return (
        f"the data are {n_bytes / 2**30:.1f} GiB, more than {_SHARE_OF_MEMORY:.0%} of the device's memory of "
        f"{memory / 2**30:.1f} GiB"
    )


def of_error(error: Exception) -> str:
    """The message of an error of compiling, without the backend's trace."""
    text = str(error)
    operations = sorted(set(_NOT_OF_XLA.findall(text)))
    if operations:
        return f"XLA does not compile the operations {', '.join(operations)}"
    if text.startswith("in user code:"):  # then a traceback, and what was raised
        return text.strip().splitlines()[-1].strip()
    message = text.split("{{node")[0] if type(error).__module__.startswith("tensorflow.") else text
    return f"{type(error).__name__}: {' '.join(message.split())[:_MAX_LETTERS]}"
