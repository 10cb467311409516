"""A new model that starts with the weights of a trained one."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.frozen import FrozenEstimator

from kerashp._archives import check_archive, load_model, warn_of_vulnerable_keras
from kerashp._statistics import scaling_of
from kerashp._transfer import transfer, weighted_layers
from kerashp.estimators._data.standardization import split_target_units
from kerashp.layers import LearnedBias


def start_from(model: Any, source: Any, classes: np.ndarray | None) -> None:
    """Copy the weights of a source into a new model.

    Those of the output layer are copied only if its shape and, if they are known, the classes are the same.

    Raises
    ------
    TypeError, ValueError
        If the source has no trained model, or its lower layers differ.
    """
    source_model, source_classes = _model_of(source)
    model = _without_statistics(model, source_model)
    layers, source_layers = weighted_layers(model), weighted_layers(source_model)
    same_output = len(layers) == len(source_layers) and _output_shapes(model) == _output_shapes(source_model)
    same_classes = classes is None or source_classes is None or np.array_equal(classes, source_classes)
    n_layers = len(layers) if same_output and same_classes else len(layers) - len(_output_layers(model))
    if not n_layers:
        return
    try:
        transfer(source_model, model, layers=n_layers, freeze=False)
    except ValueError as error:
        raise ValueError(f"warm_start_from has another network than the estimator builds: {error}") from error


def units_from(model: Any, source: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Means and deviations of a source's targets; None if the output layers have other shapes.

    They belong to the weights: a source that does not standardise its targets has 0 and 1.
    """
    source_model, _ = _model_of(source)
    if _output_shapes(model) != _output_shapes(source_model):
        return None
    parts = split_target_units(source_model)
    n_outputs = _output_shapes(model)[-1][-1]
    return (np.zeros(n_outputs), np.ones(n_outputs)) if parts is None else parts[1:]


def convert_outputs(model: Any, mean: np.ndarray, deviation: np.ndarray) -> None:
    """Let a model predict in the units of the target what it predicts in those of standardised targets."""
    kernel, bias = (weight for layer in _output_layers(model) for weight in layer.weights)
    last = _output_layers(model)[-1]
    factor = last.rate_factor if isinstance(last, LearnedBias) else 1.0
    kernel.assign(keras.ops.convert_to_numpy(kernel) * deviation)
    bias.assign(keras.ops.convert_to_numpy(bias) * deviation + mean / factor)


def _without_statistics(model: Any, source_model: Any) -> Any:
    """The model without its Normalization layer, which then changes nothing, if the source does not scale."""
    if type(model.layers[0]) is not keras.layers.Normalization or scaling_of(source_model) is not None:
        return model
    return keras.Sequential([keras.Input(model.input_shape[1:]), *model.layers[1:]])


def _output_layers(model: Any) -> list[Any]:
    """The last layer with weights, and the Dense layer before it if it is the bias of that."""
    layers = weighted_layers(model)
    return layers[-2:] if isinstance(layers[-1], LearnedBias) else layers[-1:]


def _output_shapes(model: Any) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for layer in _output_layers(model) for weight in layer.weights]


def _model_of(source: Any) -> tuple[Any, np.ndarray | None]:
    """The source's model, and its classes if it has any."""
    if isinstance(source, str | os.PathLike):
        return _loaded(Path(source)), None
    if isinstance(source, keras.Model):
        return source, None
    if isinstance(source, FrozenEstimator):
        source = source.estimator
    expected = "a fitted estimator of kerashp, a keras.Model or the path of a .keras file"
    if not hasattr(source, "warm_start_from"):
        raise TypeError(
            f"warm_start_from must be {expected}; got {source!r}. Pass the last step of a pipeline, or the "
            "best_estimator_ of a search"
        )
    if not hasattr(source, "model_"):
        raise ValueError(
            f"warm_start_from must be {expected}; got {source!r}, which is not fitted. Fit it first; if "
            "it is cloned, as by a search over warm_start_from, wrap it in sklearn.frozen.FrozenEstimator"
        )
    return source.model_, getattr(source, "classes_", None)


def _loaded(path: Path) -> Any:
    if not path.is_file() or path.suffix != ".keras":
        raise ValueError(f"warm_start_from must be the path of an existing .keras file; got {str(path)!r}")
    warn_of_vulnerable_keras()
    try:
        status = path.stat()
        _check_once(path, status.st_mtime_ns, status.st_size)
        return load_model(path, compile=False)
    except Exception as error:
        raise ValueError(
            f"warm_start_from={str(path)!r} cannot be loaded ({type(error).__name__}: {error}). Pass a "
            ".keras file that keras.Model.save wrote, with custom classes registered with Keras"
        ) from error


@lru_cache(maxsize=16)
def _check_once(path: Path, *_version: int) -> None:
    """Check a file once in each version, since a search loads it for every fit."""
    check_archive(path)
