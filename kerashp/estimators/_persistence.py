"""Saves an estimator to a folder without pickle: Keras' archive, arrays, and JSON with their digests."""

import inspect
import math
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from itertools import starmap
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from kerashp._archives import check_archive, load_model, read_arrays, warn_of_vulnerable_keras, write_arrays
from kerashp._arguments import short_repr
from kerashp._files import atomic_write, digest, read_json, regular_file, write_json
from kerashp._version import __version__
from kerashp.estimators._columns.encoder import ColumnEncoder
from kerashp.estimators._columns.stored import encoder_arrays, encoder_from_arrays
from kerashp.estimators._data.models import output_width
from kerashp.estimators._data.rows import Rows
from kerashp.estimators._parameters.packing import pack_objects, unpack_objects
from kerashp.training import isolated

_MODEL, _ARRAYS, _MANIFEST = "model.keras", "arrays.npz", "estimator.json"
_FORMAT = 1
_MAX_FEATURES = 2**28  # of a row
_ALWAYS_LEARNED = ("n_features_in_", "history_", "best_epoch_", "stopped_early_")
_STORED_ELSEWHERE = ("model_", "target_encoder_", "feature_names_in_", "feature_encoder_", "callbacks_")
_NOT_PICKLED = ("callbacks_", "_whole_model")  # objects of the user, and a model made from the others
_OBJECT = "object:"  # marks arrays of Python strings, which NumPy would pickle
_TUPLE = "tuple"  # JSON has lists only
_DTYPE = "dtype"
_FIRST_ROWS = "first_rows"  # of a stream, so that `partial_fit` knows them; kerashp 0.1 did not save it
_PAIRS = "pairs"  # a dict, since the keys of a JSON object are strings


class Persistent:
    """An estimator that can be pickled, copied, saved and loaded."""

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {name: pack_objects(value) for name, value in state.items() if name not in _NOT_PICKLED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[misc]
        with _in_float_type(self._dtype()):  # type: ignore[attr-defined]
            vars(self).update({name: unpack_objects(value) for name, value in vars(self).items()})

    def save(self, path: str | Path) -> None:
        """Save the fitted estimator to a folder, without pickle.

        The folder contains `model.keras` (Keras' archive), `arrays.npz`, and `estimator.json` with the
        parameters and a digest of each file. A parameter that JSON cannot represent (a model function,
        callbacks) is left out, and a warning names it unless it is the model function; pass it to `load`.

        Parameters
        ----------
        path : str or pathlib.Path
            The folder, which is created if it does not exist. Files of an earlier save are replaced.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        TypeError
            If labels or feature names are neither numbers nor strings.

        Examples
        --------
        >>> import tempfile
        >>> from kerashp import KerasMLPRegressor
        >>> X, y = [[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0]
        >>> regressor = KerasMLPRegressor(epochs=2, random_state=0).fit(X, y)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     regressor.save(folder)
        ...     again = KerasMLPRegressor.load(folder)
        >>> bool((again.predict(X) == regressor.predict(X)).all())
        True
        """
        check_is_fitted(self)
        _save_estimator(self, Path(path))

    @classmethod
    def load(cls, path: str | Path, **params: Any) -> Self:
        """Load an estimator that `save` wrote.

        Nothing is unpickled and Keras loads with `safe_mode=True`, so that a hostile file cannot run code.

        Parameters
        ----------
        path : str or pathlib.Path
            The folder.
        **params
            Parameters to set, such as the `model` function, which is not saved. Without it, the estimator
            can predict but not be fitted, and a warning says so.

        Returns
        -------
        estimator
            The loaded estimator.

        Raises
        ------
        ValueError
            If the folder was not written by `save`, is damaged, or contains code to run.
        TypeError
            If it contains an estimator of another class.

        Warns
        -----
        UserWarning
            If the model function has to be passed or set before the next fit.
        kerashp.training.SecurityWarning
            Once, if the installed Keras is older than 3.14, which has known vulnerabilities in loading.
        """
        warn_of_vulnerable_keras()
        return _load_estimator(cls, Path(path), params)


def _save_estimator(estimator: Any, folder: Path) -> None:
    """Write the three files, the one with the digests of the others last."""
    params, dropped = _split_params(estimator)
    arrays = _arrays(estimator, params)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / _MODEL, lambda path: keras.saving.save_model(estimator.model_, path)):
        pass
    with atomic_write(folder / _ARRAYS, lambda path: write_arrays(path, arrays)):
        pass
    manifest = {
        "format": _FORMAT,
        "kerashp": __version__,
        "keras": version("keras"),
        "class": type(estimator).__name__,
        "params": {name: value for name, value in params.items() if not isinstance(value, np.ndarray)},
        "not_kept": dropped,
        "learned": {name: _to_json(value) for name, value in vars(estimator).items() if _is_learned(name)},
        "input_shape": list(estimator._input_shape),
        **({_FIRST_ROWS: estimator._first_rows} if hasattr(estimator, "_first_rows") else {}),
        "sha256": {name: digest(folder / name) for name in (_MODEL, _ARRAYS)},
    }
    write_json(folder / _MANIFEST, manifest)
    _warn_of_dropped(type(estimator).__name__, [name for name in dropped if name != "model"])


def _is_learned(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_") and name not in _STORED_ELSEWHERE


def _split_params(estimator: Any) -> tuple[dict[str, Any], list[str]]:
    """The parameters that JSON and arrays can represent, and the names of the others.

    A default model function is in neither, since `load` sets it by itself.
    """
    params, dropped = {}, []
    defaults = inspect.signature(type(estimator)).parameters
    for name, value in estimator.get_params(deep=False).items():
        if name == "model" and "model" in defaults and value is defaults["model"].default:
            continue
        try:
            params[name] = (
                value if isinstance(value, np.ndarray) and value.dtype != object else _to_json(value)
            )
        except TypeError:
            dropped.append(name)
    return params, dropped


def _warn_of_dropped(owner: str, names: list[str]) -> None:
    if names:
        warnings.warn(
            f"{', '.join(names)} cannot be saved without pickle and will be None in the loaded estimator; "
            f"pass what you need to {owner}.load(path, {names[0]}=...)",
            UserWarning,
            stacklevel=4,
        )


def _to_json(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if isinstance(value, np.dtype):
        return {_DTYPE: value.str}
    if isinstance(value, tuple):
        return {_TUPLE: [_to_json(item) for item in value]}
    if isinstance(value, dict):
        return {_PAIRS: [[_to_json(key), _to_json(item)] for key, item in value.items()]}
    raise TypeError(f"{value!r} cannot be represented in JSON")


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if _DTYPE in value:
            return np.dtype(value[_DTYPE])
        if _TUPLE in value:
            return tuple(_from_json(item) for item in value[_TUPLE])
        return {_from_json(key): _from_json(item) for key, item in value[_PAIRS]}
    return [_from_json(item) for item in value] if isinstance(value, list) else value


def _arrays(estimator: Any, params: dict[str, Any]) -> dict[str, np.ndarray]:
    arrays = {"target": estimator.target_encoder_.prototype()}
    if hasattr(estimator, "feature_names_in_"):
        arrays["feature_names"] = estimator.feature_names_in_
    if isinstance(getattr(estimator, "feature_encoder_", None), ColumnEncoder):
        arrays |= encoder_arrays(estimator.feature_encoder_)
    arrays |= {f"param:{name}": value for name, value in params.items() if isinstance(value, np.ndarray)}
    return dict(_without_objects(name, value) for name, value in arrays.items())


def _without_objects(name: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    if array.dtype.kind not in "OT":
        return name, array
    if not all(isinstance(item, str) for item in array.ravel()):
        kinds = sorted({type(item).__name__ for item in array.ravel()})
        raise TypeError(
            f"save needs labels that are numbers or strings; got objects of type {', '.join(kinds)}"
        )
    return _OBJECT + name, array.astype(str)


def _load_estimator(cls: type, folder: Path, params: dict[str, Any]) -> Any:
    """Check the folder, then make the estimator that it describes."""
    estimator, target, omitted = _read_estimator(cls, folder)
    estimator.set_params(**params)
    with _in_float_type(estimator._dtype()):
        _load_model(estimator, target, folder)
    if "model" in omitted and estimator.model is None:
        warnings.warn(
            f"{cls.__name__}.load: {folder} does not contain the function that made the model, so that the "
            "estimator predicts but cannot be fitted: pass "
            f"{cls.__name__}.load(path, model=...), or call set_params(model=...), with that function",
            UserWarning,
            stacklevel=3,
        )
    return estimator


def _read_estimator(cls: type, folder: Path) -> tuple[Any, np.ndarray, list[str]]:
    """The estimator without its model, the target prototype, and the names of parameters not saved."""
    with _damage(folder, "its estimator.json does not describe an estimator"):
        manifest = read_json(regular_file(folder, _MANIFEST))
        if manifest["format"] != _FORMAT or set(manifest["sha256"]) != {_MODEL, _ARRAYS}:
            raise ValueError(f"format {manifest['format']} with the files {sorted(manifest['sha256'])}")
        owner = manifest["class"]
    if owner != cls.__name__:
        raise TypeError(f"{folder} contains a {owner}, not a {cls.__name__}: call {owner}.load")
    for name in (_MODEL, _ARRAYS):
        with _damage(folder, f"its {name} is not the file that was saved"):
            if digest(regular_file(folder, name)) != manifest["sha256"][name]:
                raise ValueError("the digest differs")
    with _damage(folder, "its arrays.npz or estimator.json lacks what an estimator needs"):
        arrays = dict(starmap(_with_objects, read_arrays(folder / _ARRAYS).items()))
        return _make_estimator(cls, manifest, arrays), arrays["target"], manifest["not_kept"]


def _load_model(estimator: Any, target: np.ndarray, folder: Path) -> None:
    with _damage(folder, "its model.keras is not a file that Keras saved"):
        check_archive(folder / _MODEL)
    reason = (
        "Keras refuses its model.keras in safe mode; custom classes must be registered with "
        "keras.saving.register_keras_serializable and imported first"
    )
    with _damage(folder, reason):
        estimator._adopt(load_model(folder / _MODEL, compile=True))
    with _damage(folder, "its model does not fit its columns"):
        estimator._check_loaded()
    with _damage(folder, "its model does not fit its target"):
        row = np.zeros((1, *estimator._input_shape), dtype=estimator._floatx())
        estimator._bind(Rows(row, target, None), output_width(estimator._network, row))


def _in_float_type(dtype: str | None) -> AbstractContextManager[None]:
    """Inside, Keras gives a loaded loss the float type of the estimator's network."""
    return nullcontext() if dtype in (None, keras.config.floatx()) else isolated(dtype=dtype)


@contextmanager
def _damage(folder: Path, problem: str) -> Iterator[None]:
    """Turn any error of a damaged file into one that explains it, with the original error as its cause."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"cannot load an estimator from {folder}: {problem} ({type(error).__name__}: {error}). Use "
            "another copy of the folder, or fit and save the estimator again"
        ) from error


def _with_objects(name: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    if not name.startswith(_OBJECT):
        return name, array
    return name.removeprefix(_OBJECT), array.astype(object)


def _make_estimator(cls: type, manifest: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    """The estimator with its parameters and learned attributes, but without its model."""
    params = dict.fromkeys(manifest["not_kept"])
    params |= {name: _from_json(value) for name, value in manifest["params"].items()}
    params |= {
        name.removeprefix("param:"): value for name, value in arrays.items() if name.startswith("param:")
    }
    estimator = cls(**params)
    learned = manifest["learned"]
    if not set(_ALWAYS_LEARNED) <= set(learned) or not all(map(_is_learned, learned)):
        raise ValueError(f"the learned attributes are {sorted(learned)}")
    for name, value in learned.items():
        setattr(estimator, name, _from_json(value))
    if "feature_names" in arrays:
        estimator.feature_names_in_ = arrays["feature_names"]
    estimator._input_shape = _checked_shape(manifest["input_shape"])
    if _FIRST_ROWS in manifest:
        estimator._first_rows = _checked_signature(manifest[_FIRST_ROWS])
    estimator._random = check_random_state(estimator.random_state)
    estimator.target_encoder_ = estimator._new_target_encoder(None).fit(arrays["target"])
    if estimator._encodes_columns:
        estimator.feature_encoder_ = encoder_from_arrays(arrays, estimator.n_features_in_)
    if hasattr(estimator, "feature_encoder"):
        estimator.feature_encoder_ = estimator.feature_encoder
    return estimator


def _checked_signature(signature: Any) -> str | None:
    if not isinstance(signature, str | None):
        raise ValueError(f"first_rows is {short_repr(signature)}, not a digest")
    return signature


def _checked_shape(shape: Any) -> tuple[int, ...]:
    """The shape of a row, which must fit in memory."""
    if not isinstance(shape, list) or not all(type(size) is int and size > 0 for size in shape):
        raise ValueError(f"input_shape is {short_repr(shape)}, not a list of positive integers")
    if math.prod(shape) > _MAX_FEATURES:
        raise ValueError(f"input_shape is {shape}: a row of more than {_MAX_FEATURES} numbers")
    return tuple(shape)
