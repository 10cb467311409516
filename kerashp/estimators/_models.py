"""A Keras model as bytes, as a copy, and as a function of rows."""

import inspect
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

# How the names of a layer's attributes end that hold such a part.
_PARTS = ("activation", "initializer", "regularizer", "constraint")
_MAX_ROWS, _MAX_VALUES = 4096, 2**18  # of one call, so that the activations of wide rows fit in memory


@dataclass(frozen=True)
class PackedModel:
    """A model's `.keras` archive, with the classes and functions in it that Keras has no name for."""

    archive: bytes
    custom_objects: dict[str, Any]


def pack(model: keras.Model) -> PackedModel:
    """The model with its weights, its optimizer's state and how it was compiled."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        keras.saving.save_model(model, path)
        return PackedModel(path.read_bytes(), _custom_objects(model))


def unpack(packed: PackedModel) -> keras.Model:
    """The packed model again. It has been in a pickle or in this process, so it is trusted as they are."""
    with tempfile.TemporaryDirectory() as folder, _loading(packed.custom_objects):
        path = Path(folder) / "model.keras"
        path.write_bytes(packed.archive)
        return keras.saving.load_model(path, safe_mode=False)


def duplicate(model: keras.Model) -> keras.Model:
    """A copy of a model that shares nothing with it."""
    return unpack(pack(model))


def copying(model: Any) -> AbstractContextManager[None]:
    """Where `copy.deepcopy`, which Keras serves by saving and loading, works for any Keras model."""
    return _loading(_custom_objects(model)) if isinstance(model, keras.Model) else nullcontext()


@contextmanager
def _loading(custom_objects: dict[str, Any]) -> Iterator[None]:
    with warnings.catch_warnings(), keras.saving.custom_object_scope(custom_objects):
        # An optimizer that has trained nothing yet is saved without the variables that Keras then looks for.
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer", UserWarning)
        yield


def _custom_objects(model: keras.Model) -> dict[str, Any]:
    """The classes and functions of the user's own that the model is made of and compiled with."""
    layers = list(model._flatten_layers())
    parts = [part for layer in layers for name, part in vars(layer).items() if name.endswith(_PARTS)]
    used: list[Any] = [type(layer) for layer in layers] + [_named(part) for part in parts]
    if model.compiled:
        metrics = [model._compile_metrics._user_metrics] if model._compile_metrics else []
        used += [_named(item) for item in keras.tree.flatten([model.loss, *metrics])]
        used += [type(model.optimizer), type(getattr(model.optimizer, "_learning_rate", None))]
    return {
        item.__name__: item
        for item in used
        if (inspect.isclass(item) or inspect.isfunction(item))
        and item.__module__.partition(".")[0] not in ("keras", "builtins")
    }


def _named(item: Any) -> Any:
    return item if inspect.isfunction(item) else type(item)


def outputs(model: keras.Model, X: np.ndarray) -> np.ndarray:
    """The model's outputs for rows X, some thousand rows at a time and without tracing a graph.

    `Model.predict` builds a data pipeline and compiles a function for each model: tenths of a second that a
    search pays for every candidate.
    """
    size = max(1, min(_MAX_ROWS, _MAX_VALUES // X[0].size))
    chunks = [model(X[start : start + size], training=False) for start in range(0, len(X), size)]
    return np.concatenate([keras.ops.convert_to_numpy(chunk) for chunk in chunks])


def weights_are_finite(model: keras.Model) -> bool:
    """Whether every weight is a finite number."""
    return all(np.isfinite(weight).all() for weight in model.get_weights() if weight.dtype.kind == "f")


def check_compiled(model: keras.Model, X: np.ndarray, y: np.ndarray) -> None:
    """Let Keras look up what the model is compiled with and try it on two rows, as it does when a fit begins.

    Raises
    ------
    ValueError
        If the loss or the metrics cannot be used.
    """
    X, y = X[:2], y[:2]
    if y.dtype.kind == "f":
        y = y.astype(keras.config.floatx())  # as Keras does when it reads rows
    try:
        model._symbolic_build(data_batch=(X, y, None))
    except Exception as error:
        raise ValueError(
            f"The model's loss ({model.loss!r}) or its metrics cannot be used with y: {error}. Compile it "
            "with some of keras.losses and keras.metrics that fit the target"
        ) from error


def check_optimizer(model: keras.Model) -> None:
    """Refuse a model that cannot be trained by what it is compiled with.

    Raises
    ------
    ValueError
        If there is no optimizer, or its learning rate cannot be used.
    """
    if model.optimizer is None:
        raise ValueError("The model is compiled without an optimizer; an estimator needs one, such as 'adam'")
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    if not (np.isfinite(rate) and rate >= 0):
        raise ValueError(
            f"The optimizer {model.optimizer.name!r} has learning_rate={rate:g}; it must be finite and at "
            "least 0, such as 0.001"
        )


def output_width(model: keras.Model, X: np.ndarray) -> int:
    """The width of the model's one output for rows like those of X, found by passing it a row.

    Raises
    ------
    ValueError
        If the model does not take such rows, has several outputs or no output of shape (n_samples, width).
    """
    try:
        output = model(X[:1], training=False)
    except Exception as error:
        _explain_input(model, X)
        raise ValueError(
            f"The model does not take rows of shape {X.shape[1:]} as in X: {error}. Give its input layer "
            f"shape={X.shape[1:]}"
        ) from error
    if isinstance(output, list | tuple | dict):
        raise ValueError(
            f"The model has {len(output)} outputs; an estimator takes one output of shape "
            "(n_samples, width). Join them with keras.layers.Concatenate, or train the model with Keras"
        )
    if len(output.shape) != 2:
        raise ValueError(
            f"The model's output has shape {(None, *output.shape[1:])}; expected (None, width): end it with "
            "a keras.layers.Flatten or Dense layer"
        )
    return output.shape[1]


def _explain_input(model: keras.Model, X: np.ndarray) -> None:
    """Say it better than Keras did. Not before: Keras takes (n, 4) for (n, 4, 1)."""
    try:
        shape = model.input_shape
    except AttributeError:  # not built yet, or a class of the user's own
        return
    if isinstance(shape, list | dict):
        raise ValueError(
            f"The model has {len(shape)} inputs; an estimator passes it X as one input. Join them into one, "
            "or train the model with Keras"
        )
    if len(shape) != X.ndim or any(size not in (None, got) for size, got in zip(shape, X.shape, strict=True)):
        raise ValueError(
            f"The model takes rows of shape {shape[1:]}, but those of X have shape {X.shape[1:]}: give its "
            f"input layer shape={X.shape[1:]}"
        )


def plain(value: Any) -> Any:
    """NumPy scalars as Python's own, which Keras' layers ask for; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def built(model: Any, arguments: dict[str, Any]) -> keras.Model:
    """The model that a model function returns, or a copy of a model.

    Raises
    ------
    TypeError
        If `model` is neither, or the function returns no Keras model.
    """
    if isinstance(model, keras.Model):
        return duplicate(model)
    result = model(**{name: plain(value) for name, value in arguments.items()})
    if not isinstance(result, keras.Model):
        name = getattr(model, "__name__", repr(model))
        raise TypeError(f"{name} must return a keras.Model; got {result!r}: does it end with 'return model'?")
    return result
