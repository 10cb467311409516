"""Keras models as bytes, copies of them, their outputs, and checks of them."""

import inspect
import tempfile
from collections.abc import Iterable, Iterator
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
from kerashp.training._keras.layers import is_of_layers

# Ends of the names of a layer's attributes that may be custom functions or objects.
_PARTS = ("activation", "initializer", "regularizer", "constraint")
_MAX_ROWS, _MAX_VALUES = 4096, 2**18  # in one call, so that the activations of wide rows fit in memory


@dataclass(frozen=True)
class PackedModel:
    """A model's `.keras` archive, with the custom classes and functions that it needs."""

    archive: bytes
    custom_objects: dict[str, Any]

    def __reduce__(self) -> Any:
        # pickle cannot save what is defined inside a function.
        local = {name: item for name, item in self.custom_objects.items() if "<locals>" in item.__qualname__}
        importable = {name: item for name, item in self.custom_objects.items() if name not in local}
        return _packed_model, (self.archive, importable, cloudpickle.dumps(local) if local else None)


def _packed_model(archive: bytes, importable: dict[str, Any], local: bytes | None) -> PackedModel:
    return PackedModel(archive, importable | (cloudpickle.loads(local) if local else {}))


def pack(model: keras.Model) -> PackedModel:
    """Pack a model with its weights, its optimizer's state and its compile configuration."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        keras.saving.save_model(model, path)
        return PackedModel(path.read_bytes(), _custom_objects(model))


def unpack(packed: PackedModel) -> keras.Model:
    """Unpack a model. It comes from a pickle or from this process, so it is trusted."""
    with tempfile.TemporaryDirectory() as folder, _loading(packed.custom_objects):
        path = Path(folder) / "model.keras"
        path.write_bytes(packed.archive)
        return keras.saving.load_model(path, safe_mode=False)


def duplicate(model: keras.Model) -> keras.Model:
    """Copy a model; the copy shares nothing with it."""
    return unpack(pack(model))


def deepcopy_scope(model: Any, classes: dict[str, Any]) -> AbstractContextManager[None]:
    """Inside, `copy.deepcopy` works for a Keras model with custom parts and for objects of `classes`.

    Keras copies by saving and loading, and finds custom classes in a scope only.
    """
    if isinstance(model, keras.Model):
        classes = classes | _custom_objects(model)
    elif not classes:
        return nullcontext()
    return _loading(classes)


@contextmanager
def _loading(custom_objects: dict[str, Any]) -> Iterator[None]:
    # An optimizer that has not trained yet is saved without its variables, for which Keras warns.
    with (
        without_warnings("Skipping variable loading for optimizer", UserWarning),
        keras.saving.custom_object_scope(custom_objects),
    ):
        yield


def _custom_objects(model: keras.Model) -> dict[str, Any]:
    """The custom classes and functions of which the model is made, and with which it is compiled."""
    layers = flatten_layers(model)
    parts = [part for layer in layers for name, part in vars(layer).items() if name.endswith(_PARTS)]
    objects: list[Any] = [type(layer) for layer in layers] + [_class_or_function(part) for part in parts]
    if model.compiled:
        metrics = compiled_metrics(model)[:1]
        objects += [_class_or_function(item) for item in keras.tree.flatten([model.loss, *metrics])]
        objects += [type(model.optimizer), type(rate_of(model.optimizer))]
    return {
        item.__name__: item
        for item in objects
        if (inspect.isclass(item) or inspect.isfunction(item))
        and item.__module__.partition(".")[0] not in ("keras", "builtins")
    }


def _class_or_function(item: Any) -> Any:
    return item if inspect.isfunction(item) else type(item)


def outputs(model: keras.Model, X: Any) -> Any:
    """The model's outputs for X, computed in chunks of rows and without tracing a graph.

    `Model.predict` builds a data pipeline and compiles a function for each model, which takes tenths of a
    second for each candidate of a search. X and the outputs may be lists or dicts of arrays.
    """
    inputs = keras.tree.flatten(X)
    n_rows = len(inputs[0])
    size = max(1, min(_MAX_ROWS, _MAX_VALUES // max(1, sum(array[:1].size for array in inputs))))
    chunks = [model(rows_of(X, start, start + size), training=False) for start in range(0, n_rows, size)]
    return keras.tree.map_structure(
        lambda *parts: np.concatenate([keras.ops.convert_to_numpy(part) for part in parts]), *chunks
    )


def rows_of(data: Any, start: int, end: int) -> Any:
    """Some rows of an array, or of each array in a list or dict."""
    return keras.tree.map_structure(lambda array: array[start:end], data)


def are_finite(arrays: Iterable[np.ndarray]) -> bool:
    """Whether every float is a finite number."""
    return all(np.isfinite(array).all() for array in arrays if array.dtype.kind == "f")


def check_compiled(model: keras.Model, X: Any, y: Any) -> None:
    """Let Keras resolve the model's loss and metrics and trace them for two rows, as at the start of a fit.

    Raises
    ------
    ValueError
        If the loss or the metrics cannot be used with these targets.
    """
    X, y = rows_of(X, 0, 2), keras.tree.map_structure(_in_keras_type, rows_of(y, 0, 2))
    try:
        build_for(model, (X, y, None))
    except Exception as error:
        raise ValueError(
            f"The model's loss ({model.loss!r}) or its metrics cannot be used with y: {error}. Compile it "
            "with some of keras.losses and keras.metrics that fit the target"
        ) from error


def _in_keras_type(array: np.ndarray) -> np.ndarray:
    """The array with floats in Keras' float type, to which Keras casts them."""
    return array.astype(keras.config.floatx()) if array.dtype.kind == "f" else array


def check_optimizer(model: keras.Model) -> None:
    """Refuse a model without an optimizer that can train it.

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
        If the model does not accept such rows.
    """
    try:
        return model(rows_of(X, 0, 1), training=False)
    except Exception as error:
        _check_batch_axis(model)
        shape: Any = keras.tree.map_structure(lambda array: array.shape[1:], X)
        if isinstance(X, np.ndarray):
            _check_input_shape(model, X)
        else:
            shape = f"of the feature_encoder, {shape},"
        raise ValueError(
            f"The model does not take rows of shape {shape} as in X: {error}. Give its input layer "
            f"shape={shape}"
        ) from error


def output_width(model: keras.Model, X: Any) -> int:
    """The width of the model's output for rows like those of X.

    The model is called with one row, unless its graph takes rows of exactly this shape.

    Raises
    ------
    ValueError
        If the model does not accept such rows, has several outputs, or an output of another shape than
        (n_samples, width).
    """
    output = _output_of_graph(model, X)
    if output is None:
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


def _output_of_graph(model: keras.Model, X: Any) -> Any:
    """The symbolic output of a model whose graph has one input of the shape of X, and one output."""
    if not is_of_layers(model) or not isinstance(X, np.ndarray) or not model.layers:
        return None
    inputs, outputs = keras.tree.flatten(model.inputs), keras.tree.flatten(model.outputs)
    is_of_shape = [tuple(tensor.shape) for tensor in inputs] == [(None, *X.shape[1:])]
    return outputs[0] if is_of_shape and len(outputs) == 1 and None not in outputs[0].shape[1:] else None


def _check_batch_axis(model: keras.Model) -> None:
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


def _check_input_shape(model: keras.Model, X: np.ndarray) -> None:
    """Raise a clearer error than Keras did; not beforehand, since Keras accepts (n, 4) for (n, 4, 1)."""
    try:
        shape = model.input_shape
    except AttributeError:  # not built yet, or a custom class
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


def python_scalar(value: Any) -> Any:
    """A NumPy scalar as a Python number, which Keras' layers require; any other value unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def new_model(model: Any, arguments: dict[str, Any]) -> keras.Model:
    """Call a model function, or copy a model.

    Raises
    ------
    TypeError
        If the function does not return a Keras model.
    """
    if isinstance(model, keras.Model):
        return duplicate(model)
    result = model(**{name: python_scalar(value) for name, value in arguments.items()})
    if not isinstance(result, keras.Model):
        name = getattr(model, "__name__", repr(model))
        raise TypeError(f"{name} must return a keras.Model; got {result!r}: does it end with 'return model'?")
    return result


def new_model_with_offers(model: Any, arguments: dict[str, Any], offers: dict[str, Any]) -> keras.Model:
    """Call a model function with `arguments` and those `offers` that it accepts.

    A function that passes its keyword arguments on may refuse an offer: the error of Python or of a Keras
    layer then names it as unexpected, and the function is called again without it.
    """
    try:
        return new_model(model, arguments | offers)
    except (TypeError, ValueError) as error:
        accepted = {name: offer for name, offer in offers.items() if not _refuses(error, name)}
        if len(accepted) == len(offers):
            raise
        return new_model_with_offers(model, arguments, accepted)


def _refuses(error: Exception, name: str) -> bool:
    return "keyword argument" in str(error) and f"'{name}'" in str(error)
