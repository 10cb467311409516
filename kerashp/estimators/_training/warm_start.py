"""A new model that begins with the weights of one that was trained before."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.frozen import FrozenEstimator

from kerashp._archives import check_archive, load_model, warn_of_known_holes
from kerashp._statistics import normalization_of
from kerashp._transfer import transfer, weighted_layers
from kerashp.estimators._data.standardization import without_units


def start_from(model: Any, source: Any, classes: np.ndarray | None) -> None:
    """Give a new model the weights that a source has.

    All layers'; the output's only where it has the same shape, and the same classes if they are known.

    Raises
    ------
    TypeError, ValueError
        If the source has no trained model, or one whose lower layers differ.
    """
    trained, known = _model_of(source)
    model = _without_statistics(model, trained)
    own, others = weighted_layers(model), weighted_layers(trained)
    alike = len(own) == len(others) and _shapes(own[-1]) == _shapes(others[-1])
    same_classes = classes is None or known is None or np.array_equal(classes, known)
    n_layers = len(own) if alike and same_classes else len(own) - 1
    if not n_layers:
        return
    try:
        transfer(trained, model, layers=n_layers, freeze=False)
    except ValueError as error:
        raise ValueError(f"warm_start_from has another network than the estimator builds: {error}") from error


def units_from(model: Any, source: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Means and deviations of the targets of a source whose output layer a new model has; None: it has not.

    They go along with the weights: a source that does not standardise its targets has 0 and 1.
    """
    trained, _ = _model_of(source)
    last = weighted_layers(model)[-1]
    if _shapes(last) != _shapes(weighted_layers(trained)[-1]):
        return None
    known = without_units(trained)
    return (np.zeros(last.units), np.ones(last.units)) if known is None else known[1:]


def _without_statistics(model: Any, trained: Any) -> Any:
    """The new model's layers without its Normalization, which stays idle, where the source has none."""
    first = model.layers[0]
    if type(first) is not keras.layers.Normalization or normalization_of(trained) is not None:
        return model
    return keras.Sequential([keras.Input(model.input_shape[1:]), *model.layers[1:]])


def _shapes(layer: Any) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]


def _model_of(source: Any) -> tuple[Any, np.ndarray | None]:
    """The source's model, and its classes if it has some."""
    if isinstance(source, str | os.PathLike):
        return _loaded(Path(source)), None
    if isinstance(source, keras.Model):
        return source, None
    if isinstance(source, FrozenEstimator):
        source = source.estimator
    expected = "a fitted estimator of kerashp's, a keras.Model or the path of a .keras file"
    if not hasattr(source, "warm_start_from"):
        raise TypeError(
            f"warm_start_from must be {expected}; got {source!r}. Of a pipeline take the last step, of a "
            "search best_estimator_"
        )
    if not hasattr(source, "model_"):
        raise ValueError(
            f"warm_start_from must be {expected}; got {source!r}, which is not fitted. Fit it first; where "
            "something clones it, as a search does that searches warm_start_from, pass "
            "sklearn.frozen.FrozenEstimator of it"
        )
    return source.model_, getattr(source, "classes_", None)


def _loaded(path: Path) -> Any:
    if not path.is_file() or path.suffix != ".keras":
        raise ValueError(
            f"warm_start_from must be the path of a .keras file that is there; got {str(path)!r}"
        )
    warn_of_known_holes()
    try:
        known = path.stat()
        _check_once(path, known.st_mtime_ns, known.st_size)
        return load_model(path, compile=False)
    except Exception as error:
        raise ValueError(
            f"warm_start_from={str(path)!r} cannot be loaded ({type(error).__name__}: {error}). Pass a "
            ".keras file that keras.Model.save wrote, whose own classes are registered with Keras"
        ) from error


@lru_cache(maxsize=16)
def _check_once(path: Path, *_changed: int) -> None:
    """A search loads the same file for every fit."""
    check_archive(path)
