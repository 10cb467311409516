"""The predictions of many models of one graph shape, by one compiled call."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import tree

from kerashp.training._engine.program import NO_SIDE, Layout
from kerashp.training._engine.program_cache import program_for
from kerashp.training._keras.obstacles import of_model
from kerashp.training._runtime.backend import backend
from kerashp.training._stacking.columns import columns_of
from kerashp.training._stacking.stack import Stack
from kerashp.training._stacking.step import State
from kerashp.training._stacking.template import graph_shape

_ROWS, _VALUES = 512, 2**18  # the most of one call


class Outputs:
    """Computes the predictions of some members of a stack at a time.

    Parameters
    ----------
    stack : Stack
    n_members : int
        Members of one call.
    """

    def __init__(self, stack: Stack, n_members: int):
        layout = Layout(n_members, NO_SIDE, NO_SIDE, masked=False, padding=stack.padding)
        self._model = stack.template
        self._program = program_for(stack.template, stack.numbers, layout, (None, None))
        self._constants = stack.constants()

    def predict(self, members: np.ndarray, state: State, x: Sequence[np.ndarray]) -> np.ndarray:
        """The predictions of members, by index in the stack, of shape `(n_members, n_rows, ...)`.

        `x` are the rows of each, `(n_rows, ...)`, or one array for all. One compiled function predicts for
        any number of rows: it takes some hundred at a time, and the last call is filled up.
        """
        n_rows = len(x[0])
        size = max(1, min(_ROWS, _VALUES // max(1, x[0][:1].size)))
        state = tree.map_structure(backend().put, state._replace(optimizer=[], metrics=[]))
        constants = [backend().put(constant[members]) for constant in self._constants]
        parts = []
        for first in range(0, n_rows, size):
            places = np.minimum(np.arange(first, first + size), n_rows - 1)
            rows = np.stack([array[places] for array in x])
            outputs = self._program.outputs(self._model, state, constants, rows)
            parts.append(backend().fetched(outputs)[:, : n_rows - first])
        return np.concatenate(parts, axis=1)


def predicting_shape(model: Any) -> str | None:
    """A text that is equal for models that can predict by one `Predictor`.

    Parameters
    ----------
    model : keras.Model
        Compiled and built.

    Returns
    -------
    str or None
        None: the model predicts alone.

    Examples
    --------
    >>> from kerashp import build_model
    >>> predicting_shape(build_model(1, 4)) == predicting_shape(build_model(1, 6))
    True
    """
    shape = None if of_model(model) else graph_shape(model)
    return None if shape is None else f"{shape} {columns_of(model)}"


class Predictor:
    """The predictions of several models, by one compiled call.

    Parameters
    ----------
    models : list of keras.Model, compiled and built
        Of one `predicting_shape`.

    Examples
    --------
    >>> from kerashp import build_model
    >>> models = [build_model(1, width, input_shape=3) for width in (4, 6)]
    >>> Predictor(models).predict([np.zeros((10, 3), "float32")] * 2).shape
    (2, 10, 1)
    """

    def __init__(self, models: Sequence[Any]):
        self._members = np.arange(len(models))
        self._stack = Stack(models)
        self._outputs = Outputs(self._stack, len(models))

    def predict(self, x: Sequence[np.ndarray]) -> np.ndarray:
        """The predictions of each model, with its present weights, for its rows.

        Parameters
        ----------
        x : list of array of shape (n_samples, ...)
            The rows of each model, of one shape and type.

        Returns
        -------
        ndarray of shape (n_models, n_samples, ...)
        """
        return self._outputs.predict(self._members, self._stack.state(), x)
