"""What keeps a model's training from being compiled."""

import os
import re
from typing import Any

import keras

from kerashp._compat.keras import flatten_layers
from kerashp.training._keras.data import are_arrays, leaves
from kerashp.training._keras.hooks import batch_hook, flat_callbacks
from kerashp.training._keras.optimizers import optimizer_obstacle
from kerashp.training._runtime.backend import backend, supported

_STEPS = ("train_step", "test_step", "fit", "evaluate", "make_train_function", "make_test_function")
_SHARE_OF_MEMORY = 0.5
_MOST_LETTERS = 400
_NOT_OF_XLA = re.compile(r"(\w+) \(No registered")  # in what XLA says of a graph


def obstacle(model: Any, call: dict[str, Any]) -> str | None:
    """Why `Model.fit` has to train this model in this way; None where nothing is known to.

    `call` are the arguments of `Model.fit`.
    """
    return of_model(model) or _of_call(call)


def of_model(model: Any) -> str | None:
    """Why this model cannot be trained by compiled epochs, whatever the data."""
    return _of_backend(model) or _of_itself(model)


def _of_backend(model: Any) -> str | None:
    if not supported():
        return f"the {keras.backend.backend()} backend has no compiled training here"
    if keras.distribution.distribution() is not None or backend().distributed(model):
        return "a distribution strategy is set"
    return None


def _of_itself(model: Any) -> str | None:
    for name in _STEPS:
        if getattr(type(model), name) is not getattr(keras.Model, name) or name in vars(model):
            return f"{type(model).__name__} overrides {name}"
    reason = optimizer_obstacle(model.optimizer)
    if reason:
        return reason
    if model.run_eagerly:
        return "run_eagerly=True asks for batches one by one"
    if not (backend().ONLY_XLA or backend().device_memory() is not None):
        return None
    refused = [type(layer).__name__ for layer in flatten_layers(model) if not layer.supports_jit]
    return f"XLA does not compile {refused[0]}" if refused else None


def of_data(data: Any, validation_data: Any) -> str | None:
    """Why these data cannot be placed on the device."""
    if not are_arrays(*data):
        return f"the data are not dense arrays but {_kinds(data)}"
    if validation_data is None or (
        isinstance(validation_data, list | tuple) and are_arrays(*validation_data)
    ):
        return None
    return f"validation_data are not dense arrays but {_kinds(validation_data)}"


def _of_call(call: dict[str, Any]) -> str | None:
    reason = of_data((call["x"], call["y"], call["sample_weight"]), call["validation_data"])
    if reason:
        return reason
    for name in ("steps_per_epoch", "validation_steps"):
        if call[name] is not None:
            return f"{name}={call[name]} cuts epochs short"
    if not isinstance(call["shuffle"], bool):
        return f"shuffle={call['shuffle']!r} is neither True nor False"
    if keras.config.max_epochs() or keras.config.max_steps_per_epoch():
        return "keras.config limits epochs or steps"
    hook = batch_hook(flat_callbacks(call["callbacks"]))
    return f"{hook} is called at every batch" if hook else None


def _kinds(data: Any) -> str:
    return ", ".join(dict.fromkeys(type(leaf).__name__ for leaf in leaves(data)))


def too_large(n_bytes: int) -> str | None:
    """Whether data of this size would fill too much of the memory that they are to be placed in."""
    memory = backend().device_memory() or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if n_bytes <= _SHARE_OF_MEMORY * memory:
        return None
    return (
        f"the data are {n_bytes / 2**30:.1f} GiB, more than {_SHARE_OF_MEMORY:.0%} of the device's memory of "
        f"{memory / 2**30:.1f} GiB"
    )


def of_error(error: Exception) -> str:
    """What an error says of a training that could not be compiled, without the backend's own trace."""
    text = str(error)
    operations = sorted(set(_NOT_OF_XLA.findall(text)))
    if operations:
        return f"XLA does not compile the operations {', '.join(operations)}"
    if text.startswith("in user code:"):  # then a traceback, and what was raised
        return text.strip().splitlines()[-1].strip()
    said = text.split("{{node")[0] if type(error).__module__.startswith("tensorflow.") else text
    return f"{type(error).__name__}: {' '.join(said.split())[:_MOST_LETTERS]}"
