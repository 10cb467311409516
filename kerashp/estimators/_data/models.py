"""A Keras model as bytes, as a copy, and as a function of rows."""

import inspect
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import keras
import numpy as np

from kerashp._compat.keras import build_for, compiled_metrics, flatten_layers
from kerashp._compat.keras_optimizers import rate_of
from kerashp.training import without_warnings

# How the names of a layer's attributes end that hold such a part.
_PARTS = ("activation", "initializer", "regularizer", "constraint")
_MAX_ROWS, _MAX_VALUES = 4096, 2**18  # of one call, so that the activations of wide rows fit in memory


@dataclass(frozen=True)
class PackedModel:
    """A model's `.keras` archive, with the classes and functions in it that Keras has no name for."""

    archive: bytes
    custom_objects: dict[str, Any]

    def __reduce__(self) -> Any:
        # pickle has no name for what was made inside a function.
        local = {name: item for name, item in self.custom_objects.items() if "<locals>" in item.__qualname__}
        others = {name: item for name, item in self.custom_objects.items() if name not in local}
        return _read, (self.archive, others, cloudpickle.dumps(local) if local else None)


def _read(archive: bytes, others: dict[str, Any], local: bytes | None) -> PackedModel:
    return PackedModel(archive, others | (cloudpickle.loads(local) if local else {}))


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


def copying(model: Any, classes: dict[str, Any]) -> AbstractContextManager[None]:
    """Where `copy.deepcopy`, which Keras serves by saving and loading, works for any Keras model.

    And for the objects of some other `classes`.
    """
    if isinstance(model, keras.Model):
        classes = classes | _custom_objects(model)
    elif not classes:
        return nullcontext()
    return _loading(classes)


@contextmanager
def _loading(custom_objects: dict[str, Any]) -> Iterator[None]:
    # An optimizer that has trained nothing yet is saved without the variables that Keras then looks for.
    with (
        without_warnings("Skipping variable loading for optimizer", UserWarning),
        keras.saving.custom_object_scope(custom_objects),
    ):
        yield


def _custom_objects(model: keras.Model) -> dict[str, Any]:
    """The classes and functions of the user's own that the model is made of and compiled with."""
    layers = flatten_layers(model)
    parts = [part for layer in layers for name, part in vars(layer).items() if name.endswith(_PARTS)]
    used: list[Any] = [type(layer) for layer in layers] + [_named(part) for part in parts]
    if model.compiled:
        metrics = compiled_metrics(model)[:1]
        used += [_named(item) for item in keras.tree.flatten([model.loss, *metrics])]
        used += [type(model.optimizer), type(rate_of(model.optimizer))]
    return {
        item.__name__: item
        for item in used
        if (inspect.isclass(item) or inspect.isfunction(item))
        and item.__module__.partition(".")[0] not in ("keras", "builtins")
    }


def _named(item: Any) -> Any:
    return item if inspect.isfunction(item) else type(item)


def outputs(model: keras.Model, X: Any) -> Any:
    """The model's outputs for rows X, some thousand rows at a time and without tracing a graph.

    `Model.predict` builds a data pipeline and compiles a function for each model: tenths of a second that a
    search pays for every candidate. X, and what the model gives, may be a list or dict of arrays.
    """
    inputs = keras.tree.flatten(X)
    n_rows = len(inputs[0])
    size = max(1, min(_MAX_ROWS, _MAX_VALUES // max(1, sum(array[:1].size for array in inputs))))
    chunks = [model(rows_of(X, start, start + size), training=False) for start in range(0, n_rows, size)]
    return keras.tree.map_structure(
        lambda *parts: np.concatenate([keras.ops.convert_to_numpy(part) for part in parts]), *chunks
    )


def rows_of(data: Any, start: int, end: int) -> Any:
    """Some rows of an array, or of each in a list or dict of arrays."""
    return keras.tree.map_structure(lambda array: array[start:end], data)


def weights_are_finite(model: keras.Model) -> bool:
    """Whether every weight is a finite number."""
    return all(np.isfinite(weight).all() for weight in model.get_weights() if weight.dtype.kind == "f")


def check_compiled(model: keras.Model, X: Any, y: Any) -> None:
    """Let Keras look up what the model is compiled with and try it on two rows, as it does when a fit begins.

    Raises
    ------
    ValueError
        If the loss or the metrics cannot be used.
    """
    X, y = rows_of(X, 0, 2), keras.tree.map_structure(_as_read, rows_of(y, 0, 2))
    try:
        build_for(model, (X, y, None))
    except Exception as error:
        raise ValueError(
            f"The model's loss ({model.loss!r}) or its metrics cannot be used with y: {error}. Compile it "
            "with some of keras.losses and keras.metrics that fit the target"
        ) from error


def _as_read(array: np.ndarray) -> np.ndarray:
    """Floats in Keras' type, as it reads rows."""
    return array.astype(keras.config.floatx()) if array.dtype.kind == "f" else array


def check_optimizer(model: keras.Model) -> None:
    """Refuse a model that cannot be trained by what it is compiled with.

    Raises
    ------
    ValueError
        If there is no optimizer, or its learning rate cannot be used.
    """
    if model.optimizer is None:
        raise ValueError(
            "The model is compiled without an optimizer. You must provide an optimizer, such as 'adam'"
        )
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    if not (np.isfinite(rate) and rate >= 0):
        raise ValueError(
            f"The optimizer {model.optimizer.name!r} has learning_rate={rate:g}; it must be finite and at "
            "least 0, such as 0.001"
        )


def outputs_for(model: keras.Model, X: Any) -> Any:
    """The model's outputs for the first row of X.

    Raises
    ------
    ValueError
        If the model does not take such rows.
    """
    try:
        return model(rows_of(X, 0, 1), training=False)
    except Exception as error:
        _explain_batch(model)
        shape: Any = keras.tree.map_structure(lambda array: array.shape[1:], X)
        if isinstance(X, np.ndarray):
            _explain_input(model, X)
        else:
            shape = f"of the feature_encoder, {shape},"
        raise ValueError(
            f"The model does not take rows of shape {shape} as in X: {error}. Give its input layer "
            f"shape={shape}"
        ) from error


def output_width(model: keras.Model, X: Any) -> int:
    """The width of the model's one output for rows like those of X, found by passing it a row.

    Raises
    ------
    ValueError
        If the model does not take such rows, has several outputs or no output of shape (n_samples, width).
    """
    output = outputs_for(model, X)
    if isinstance(output, list | tuple | dict):
        raise ValueError(
            f"The model has {len(output)} outputs; an estimator takes one output of shape (n_samples, width) "
            f"for an input of size {X.shape[1:]}. Join them with keras.layers.Concatenate, override "
            "target_encoder in a subclass with a transformer that makes a target for each, or train the "
            "model with kerashp.fit"
        )
    if len(output.shape) != 2:
        raise ValueError(
            f"The model's output has shape {(None, *output.shape[1:])}; expected (None, width): end it with "
            "a keras.layers.Flatten or Dense layer"
        )
    return output.shape[1]


def _explain_batch(model: keras.Model) -> None:
    """Refuse a model whose input layers fix the number of rows of a batch."""
    tensors = getattr(model, "inputs", None) or []
    for tensor in tensors:
        if tensor.shape[0] is not None:
            shape = tuple(tensor.shape)
            raise ValueError(
                f"The model's input layer fixes the batch size at {shape[0]} (batch_shape={shape}), but an "
                f"estimator passes it batches of any number of rows: give its input layer shape={shape[1:]}, "
                "or train it by keras.Model.fit"
            )


def _explain_input(model: keras.Model, X: np.ndarray) -> None:
    """Say it better than Keras did. Not before: Keras takes (n, 4) for (n, 4, 1)."""
    try:
        shape = model.input_shape
    except AttributeError:  # not built yet, or a class of the user's own
        return
    if isinstance(shape, list | dict):
        raise ValueError(
            f"The model has {len(shape)} inputs; an estimator passes it X as one input. Join them into one, "
            "override feature_encoder in a subclass with a transformer that splits X, or train the model "
            "with kerashp.fit"
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


def built_with(model: Any, arguments: dict[str, Any], offers: dict[str, Any]) -> keras.Model:
    """The model that a function returns when it is called with `arguments` and `offers`.

    A function that passes its keyword arguments on may refuse an offer: Python, or a layer of Keras', then
    names it as unexpected. It is called again without that one.
    """
    try:
        return built(model, arguments | offers)
    except (TypeError, ValueError) as error:
        kept = {name: offer for name, offer in offers.items() if not _refuses(error, name)}
        if len(kept) == len(offers):
            raise
        return built_with(model, arguments, kept)


def _refuses(error: Exception, name: str) -> bool:
    return "keyword argument" in str(error) and f"'{name}'" in str(error)
