"""Columns of a model's input that members of a population may lack."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kerashp._compat.keras import calls_after, producer
from kerashp.layers import (
    CategoricalColumns,
    FanInScaling,
    HeadScale,
    LearnedScale,
    PeriodicEmbedding,
    PiecewiseLinearEncoding,
    RobustScaling,
)
from kerashp.training._members.room import DENSE, Units
from kerashp.training._stacking.padding import can_be_padded
from kerashp.training._stacking.repeated_layers import WIDTH, Config

_OF_NUMBERS = (PeriodicEmbedding, PiecewiseLinearEncoding, RobustScaling)  # they have `n_numbers`
_FRONT = (*_OF_NUMBERS, CategoricalColumns, FanInScaling, HeadScale, LearnedScale)
_FILLS = (0, 0, -1, -1)  # for the parts of `columns_of`; -1 is the code of no category


def columns_of(model: Any) -> Units:
    """How many columns of each kind the input of a model has, if another member may have more of them.

    The kinds are, from left to right: numbers that are scaled or embedded alone, other numbers, codes of
    one-hot categories, and codes of embedded categories. Further columns of a kind come after its others.

    Parameters
    ----------
    model : keras.Model
        Compiled and built; it has a `graph_shape`.

    Returns
    -------
    tuple of int
        Empty where the model would compute something else with columns added.

    Examples
    --------
    >>> from kerashp import build_model
    >>> from kerashp.training import columns_of
    >>> columns_of(build_model(1, 30, input_shape=8))
    (0, 8, 0, 0)
    >>> columns_of(build_model(1, 30, input_shape=(28, 28)))
    ()
    """
    front = _layers_before_dense(model) if can_be_padded(model) else None
    if front is None:
        return ()
    n_inputs = model.inputs[0].shape[-1]
    categories = [layer for layer in front if type(layer) is CategoricalColumns]
    n_one_hot = sum(layer.n_one_hot for layer in categories)
    n_embedded = sum(layer.n_embedded for layer in categories)
    of_numbers = [layer for layer in front if type(layer) in _OF_NUMBERS]
    n_numbers = {
        layer.input.shape[-1] if layer.n_numbers is None else layer.n_numbers for layer in of_numbers
    }
    n_scaled = next(iter(n_numbers), 0)
    n_others = n_inputs - n_scaled - n_one_hot - n_embedded
    is_divided = len(n_numbers) < 2 and len(categories) < 2 and n_others >= 0
    return (n_scaled, n_others, n_one_hot, n_embedded) if is_divided else ()


def columns_by_model(models: Sequence[Any]) -> list[Units]:
    """The columns of each of several models of one graph shape, some of which may be the same."""
    distinct = {id(model): model for model in models}
    columns = {key: columns_of(model) for key, model in distinct.items()}
    return [columns[id(model)] for model in models]


def _layers_before_dense(model: Any) -> list[Any] | None:
    """The layers from the only input to the first Dense layers; None where other layers are among them."""
    inputs = keras.tree.flatten(model.inputs)
    if len(inputs) != 1 or len(inputs[0].shape) != 2:
        return None
    layers = list(_chain(producer(inputs[0])))
    return layers if all(map(_passes_columns_on, layers)) else None


def _chain(layer: Any) -> Iterator[Any]:
    """The layers after a layer, until they are Dense or several."""
    consumers = {id(node.operation): node.operation for node in calls_after(layer)}
    if all(type(consumer) in DENSE for consumer in consumers.values()):
        return
    for consumer in consumers.values():
        yield consumer
        yield from _chain(consumer) if len(consumers) == 1 else [None]


def _passes_columns_on(layer: Any) -> bool:
    """Whether a layer computes the same for the other columns if some are added."""
    if type(layer) is keras.layers.Normalization:
        return layer.input_mean is None and layer.axis in ((-1,), (1,))
    return type(layer) in _FRONT


def with_columns(config: Config, layers: Sequence[Config], columns: Units | None) -> None:
    """Set the columns of a model's config, whose layers are these, or replace them by `WIDTH` if None."""
    n_numbers, _, n_one_hot, n_embedded = columns or (WIDTH,) * 4
    n_inputs = sum(columns) if columns else WIDTH
    if "build_input_shape" in config:
        config["build_input_shape"] = [None, n_inputs]
    for layer in layers:
        options = layer["config"]
        if layer["class_name"] == "InputLayer":
            options["batch_shape"] = [None, n_inputs]
        if layer["class_name"] == CategoricalColumns.__name__:
            options |= {"n_one_hot": n_one_hot, "n_embedded": n_embedded}
        if "n_numbers" in options:
            options["n_numbers"] = n_numbers


def column_masks(members: Sequence[Units], columns: Units) -> np.ndarray:
    """Which columns of the input each member has, of shape `(n_members, n_inputs)`.

    >>> column_masks([(1, 0, 2, 0), (2, 1, 1, 0)], (2, 1, 2, 0)).astype(int).tolist()
    [[1, 0, 0, 1, 1], [1, 1, 1, 1, 0]]
    """
    counts = np.array(members)
    return np.hstack([np.arange(most) < counts[:, [kind]] for kind, most in enumerate(columns)])


def rows_with_columns(rows: np.ndarray, own: Units, columns: Units) -> np.ndarray:
    """Rows with such columns as a model has, with those of a population that the model lacks.

    Rows stay as they are where `columns`, those of the population, are empty.

    >>> rows_with_columns(np.array([[0.5, 3.0, 1.0]]), (1, 0, 2, 0), (2, 1, 2, 1)).tolist()
    [[0.5, 0.0, 0.0, 3.0, 1.0, -1.0]]
    """
    if columns in ((), own):
        return rows
    parts = np.split(rows, np.cumsum(own)[:-1], axis=1)
    return np.hstack(
        [
            np.pad(part, ((0, 0), (0, most - part.shape[1])), constant_values=fill)
            for part, most, fill in zip(parts, columns, _FILLS, strict=True)
        ]
    )


def place_of_embedding(model: Any) -> int | None:
    """Where, among its trained weights, a model would have embeddings of categories; None if it has some."""
    place = 0
    for layer in model.layers:
        if type(layer) is CategoricalColumns and layer.embedding is None:
            return place
        place += len(layer.trainable_variables)
    return None
