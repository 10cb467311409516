"""The state of a training that Keras' files do not hold, and that a resumed training needs.

Keras saves the weights and the optimizer's variables. This saves, as one block of bytes inside the same file,
the random seeds, the state of the other callbacks, and the state of `numpy.random`, which orders the rows.
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
from kerashp._compat.keras import WEIGHTS_ARE_AVERAGED
from kerashp.training import LearningRateCallback

_ENTRY = "kerashp.npz"
_NUMPY = ("pos", "has_gauss", "gauss")
_N_KEYS = 624  # of numpy.random's MT19937, which does not check that its position is in 0..624
_OF_CALLBACK = re.compile(r"(\w+)/\d+/(\w+?)(?:/(\d+))?")
_SEED = "seed_generator_state"  # Keras' name of these variables

# The attributes of callbacks that depend on earlier epochs.
_SAVED_ATTRIBUTES = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.ModelCheckpoint: ("best",),
    keras.callbacks.SwapEMAWeights: (WEIGHTS_ARE_AVERAGED,),
}

State = dict[str, np.ndarray]


def is_saved(callback: Any) -> bool:
    """Whether the state of a callback is saved."""
    return isinstance(callback, (*_SAVED_ATTRIBUTES, LearningRateCallback))


def training_state(model: Any, callbacks: Sequence[Any]) -> State:
    """The state at the end of an epoch."""
    state: dict[str, Any] = {"stopped": model.stop_training, **_numpy_state()}
    state |= {f"seed/{index}": variable.numpy() for index, variable in enumerate(_seeds(model))}
    for callback in callbacks:
        if isinstance(callback, LearningRateCallback):
            state["learning_rate"] = callback.initial_learning_rate
    for name, callback, attributes in _named_callbacks(callbacks):
        for attribute in attributes:
            state |= _entries(f"{name}/{attribute}", getattr(callback, attribute))
    return {name: _as_numpy_type(np.asarray(value)) for name, value in state.items()}


def restore_model(model: Any, state: State) -> None:
    """Restore a model's seeds and, where a callback sets the learning rate, the rate at the beginning."""
    for index, variable in enumerate(_seeds(model)):
        variable.assign(state[f"seed/{index}"])
    if "learning_rate" in state:
        model.optimizer.learning_rate = float(state["learning_rate"])


def restore_training(callbacks: Sequence[Any], state: State) -> None:
    """Restore the state of the callbacks of a training that has just begun, and that of `numpy.random`."""
    present_names = {name for name, _, _ in _named_callbacks(callbacks)}
    saved_names = dict.fromkeys("/".join(name.split("/")[:2]) for name in state if name.count("/") > 1)
    missing = [name.split("/")[0] for name in saved_names if name not in present_names]
    if missing:
        warnings.warn(
            f"the checkpoint holds the state of {', '.join(missing)}, which is missing in callbacks",
            stacklevel=2,
        )
    for name, callback, attributes in _named_callbacks(callbacks):
        for attribute in attributes if name in saved_names else ():
            setattr(callback, attribute, _saved_value(state, f"{name}/{attribute}"))
    words = {"key": state["numpy"], "pos": int(state["numpy/pos"])}
    gauss = {"has_gauss": int(state["numpy/has_gauss"]), "gauss": float(state["numpy/gauss"])}
    np.random.set_state({"bit_generator": "MT19937", "state": words, **gauss})


def embed(path: Path, state: State) -> None:
    """Add the state to one of Keras' files; Keras loads it as before."""
    block = io.BytesIO()
    write_arrays(block, state)
    if path.suffix == ".keras":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(_ENTRY, block.getvalue())
        return
    with h5py.File(path, "a") as weights:
        weights[_ENTRY] = np.frombuffer(block.getvalue(), np.uint8)


def embedded(path: Path, model: Any) -> State:
    """The state in a file, checked to fit this model.

    Raises
    ------
    Exception
        If there is none, or if it is not a state that `training_state` makes.
    """
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            block = archive.read(_ENTRY)
    else:
        with h5py.File(path) as weights:
            block = weights[_ENTRY][()].tobytes()
    state = read_arrays(io.BytesIO(block))
    _check_state(state, model)
    return state


def _check_state(state: State, model: Any) -> None:
    """Refuse a state that could not be restored, before anything is."""
    required = {"stopped": (), "numpy": (_N_KEYS,), **{f"numpy/{name}": () for name in _NUMPY}}
    required |= {f"seed/{index}": tuple(variable.shape) for index, variable in enumerate(_seeds(model))}
    shapes = [tuple(weight.shape) for weight in model.weights]
    missing = [name for name in required if name not in state]
    if missing:
        raise ValueError(f"its state lacks {missing[0]!r}")
    for name, array in state.items():
        shape = required[name] if name in required else _shape_of(name, shapes)
        if array.shape != shape or array.dtype.kind not in "biuf":
            raise ValueError(f"its state has {name!r} of shape {array.shape} and type {array.dtype}")
    if not 0 <= int(state["numpy/pos"]) <= _N_KEYS:
        raise ValueError(f"its state has the position {int(state['numpy/pos'])} in {_N_KEYS} random numbers")
    if not np.isfinite(state.get("learning_rate", 0.0)):
        raise ValueError(f"its state has the learning rate {state['learning_rate']}")


def _shape_of(name: str, weights: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of the value that a callback keeps under a name: a number, or one of several weights."""
    match = _OF_CALLBACK.fullmatch(name)
    attributes = {kind.__name__: attributes for kind, attributes in _SAVED_ATTRIBUTES.items()}
    if name != "learning_rate" and (match is None or match[2] not in attributes.get(match[1], ())):
        raise ValueError(f"its state has {name!r}, which no callback keeps")
    index = None if match is None else match[3]
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


def _named_callbacks(callbacks: Sequence[Any]) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """The callbacks whose state is saved, with a name (class and count) and the saved attributes of each."""
    counts: Counter[type] = Counter()
    for callback in callbacks:
        for kind, attributes in _SAVED_ATTRIBUTES.items():
            if isinstance(callback, kind):
                yield f"{kind.__name__}/{counts[kind]}", callback, attributes
                counts[kind] += 1


def _entries(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, list):
        return {f"{name}/{index}": item for index, item in enumerate(value)}
    return {name: value}


def _saved_value(state: State, name: str) -> Any:
    if name in state:
        return state[name].item()
    return [state[key] for key in state if key.startswith(f"{name}/")] or None


def _as_numpy_type(array: np.ndarray) -> np.ndarray:
    """An array of NumPy's own types: bfloat16 fits into float32."""
    return array.astype(np.float32) if array.dtype.kind == "V" else array
