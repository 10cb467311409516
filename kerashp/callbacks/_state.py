"""What a training needs to go on as if nothing had happened, and Keras' files do not hold.

Keras keeps the weights and the optimizer's variables. This keeps, as one block of bytes inside the same
file, the random seeds, how far the other callbacks have come, and the state of `numpy.random`, by which the
rows are ordered.
"""

import io
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from kerashp._archives import read_arrays, write_arrays
from kerashp.training import LearningRateCallback

_ENTRY = "kerashp.npz"
_NUMPY = ("pos", "has_gauss", "gauss")
_N_KEYS = 624  # of numpy.random's MT19937; it does not check its position, which is in 0..624
_OF_CALLBACK = re.compile(r"(\w+)/\d+/(\w+?)(?:/(\d+))?")
_SEED = "seed_generator_state"  # Keras' name of these variables

# What a callback knows of the epochs before.
_KEPT = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.ModelCheckpoint: ("best",),
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
}

State = dict[str, np.ndarray]


def is_kept(callback: Any) -> bool:
    """Whether a callback has something to keep."""
    return isinstance(callback, (*_KEPT, LearningRateCallback))


def state_of(model: Any, callbacks: Sequence[Any]) -> State:
    """The state at the end of an epoch."""
    state: dict[str, Any] = {"stopped": model.stop_training, **_numpy_state()}
    state |= {f"seed/{index}": variable.numpy() for index, variable in enumerate(_seeds(model))}
    for callback in callbacks:
        if isinstance(callback, LearningRateCallback):
            state["learning_rate"] = callback.initial_learning_rate
    for name, callback, attributes in _numbered(callbacks):
        for attribute in attributes:
            state |= _entries(f"{name}/{attribute}", getattr(callback, attribute))
    return {name: _plain(np.asarray(value)) for name, value in state.items()}


def restore_model(model: Any, state: State) -> None:
    """Give a model its seeds and, where a callback moves the learning rate, the rate that it began with."""
    for index, variable in enumerate(_seeds(model)):
        variable.assign(state[f"seed/{index}"])
    if "learning_rate" in state:
        model.optimizer.learning_rate = float(state["learning_rate"])


def restore_training(callbacks: Sequence[Any], state: State) -> None:
    """Give the callbacks of a training that has just begun their state, and `numpy.random` its own."""
    own = dict.fromkeys(name for name, _, _ in _numbered(callbacks))
    saved = dict.fromkeys("/".join(name.split("/")[:2]) for name in state if name.count("/") > 1)
    missing = [name.split("/")[0] for name in saved if name not in own]
    if missing:
        warnings.warn(
            f"the checkpoint was saved beside {', '.join(missing)}, which the callbacks do not have any more",
            stacklevel=2,
        )
    for name, callback, attributes in _numbered(callbacks):
        for attribute in attributes if name in saved else ():
            setattr(callback, attribute, _value(state, f"{name}/{attribute}"))
    words = {"key": state["numpy"], "pos": int(state["numpy/pos"])}
    gauss = {"has_gauss": int(state["numpy/has_gauss"]), "gauss": float(state["numpy/gauss"])}
    np.random.set_state({"bit_generator": "MT19937", "state": words, **gauss})


def embed(path: Path, state: State) -> None:
    """Put the state into one of Keras' files, which Keras reads as before."""
    block = io.BytesIO()
    write_arrays(block, state)
    if path.suffix == ".keras":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(_ENTRY, block.getvalue())
        return
    with h5py.File(path, "a") as weights:
        weights[_ENTRY] = np.frombuffer(block.getvalue(), np.uint8)


def embedded(path: Path, model: Any) -> State:
    """The state inside of a file, as it may be of this model.

    Raises
    ------
    Exception
        If there is none, or if it is no state that `state_of` makes.
    """
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            block = archive.read(_ENTRY)
    else:
        with h5py.File(path) as weights:
            block = weights[_ENTRY][()].tobytes()
    state = read_arrays(io.BytesIO(block))
    _check(state, model)
    return state


def _check(state: State, model: Any) -> None:
    """Refuse a state that would be restored wrong, or later than now."""
    needed = {"stopped": (), "numpy": (_N_KEYS,), **{f"numpy/{name}": () for name in _NUMPY}}
    needed |= {f"seed/{index}": tuple(variable.shape) for index, variable in enumerate(_seeds(model))}
    shapes = [tuple(weight.shape) for weight in model.weights]
    missing = [name for name in needed if name not in state]
    if missing:
        raise ValueError(f"its state lacks {missing[0]!r}")
    for name, array in state.items():
        shape = needed[name] if name in needed else _shape_of(name, shapes)
        if array.shape != shape or array.dtype.kind not in "biuf":
            raise ValueError(f"its state has {name!r} of shape {array.shape} and type {array.dtype}")
    if not 0 <= int(state["numpy/pos"]) <= _N_KEYS:
        raise ValueError(f"its state has the position {int(state['numpy/pos'])} in {_N_KEYS} random numbers")
    if not np.isfinite(state.get("learning_rate", 0.0)):
        raise ValueError(f"its state has the learning rate {state['learning_rate']}")


def _shape_of(name: str, weights: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of what a callback keeps under a name: a number, or one of the weights of a list."""
    found = _OF_CALLBACK.fullmatch(name)
    attributes = {kind.__name__: attributes for kind, attributes in _KEPT.items()}
    if name != "learning_rate" and (found is None or found[2] not in attributes.get(found[1], ())):
        raise ValueError(f"its state has {name!r}, which no callback keeps")
    index = None if found is None else found[3]
    if index is None:
        return ()
    if int(index) >= len(weights):
        raise ValueError(f"its state has {name!r}, but the model has {len(weights)} weights")
    return weights[int(index)]


def _numpy_state() -> dict[str, Any]:
    state: Any = np.random.get_state(legacy=False)
    numbers = {**state, **state["state"]}
    return {"numpy": numbers["key"], **{f"numpy/{name}": numbers[name] for name in _NUMPY}}


def _seeds(model: Any) -> list[Any]:
    return [variable for variable in model.non_trainable_variables if variable.name == _SEED]


def _numbered(callbacks: Sequence[Any]) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """The callbacks with something to keep, each named by its kind and its place among those of the kind."""
    counts: Counter[type] = Counter()
    for callback in callbacks:
        for kind, attributes in _KEPT.items():
            if isinstance(callback, kind):
                yield f"{kind.__name__}/{counts[kind]}", callback, attributes
                counts[kind] += 1


def _entries(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, list):
        return {f"{name}/{index}": item for index, item in enumerate(value)}
    return {name: value}


def _value(state: State, name: str) -> Any:
    if name in state:
        return state[name].item()
    return [state[key] for key in state if key.startswith(f"{name}/")] or None


def _plain(array: np.ndarray) -> np.ndarray:
    """An array of NumPy's own types: bfloat16 fits into float32."""
    return array.astype(np.float32) if array.dtype.kind == "V" else array
