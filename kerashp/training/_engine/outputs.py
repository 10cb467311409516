"""What many models of one graph shape predict, in one compiled call."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import tree

from kerashp.training._engine.program import NO_SIDE, Layout
from kerashp.training._engine.program_cache import program_for
from kerashp.training._keras.obstacles import of_model
from kerashp.training._runtime.backend import backend
from kerashp.training._stacking.stack import Stack
from kerashp.training._stacking.step import State
from kerashp.training._stacking.template import graph_shape

_ROWS, _VALUES = 512, 2**18  # of one call


class Outputs:
    """Computes what so many members of a stack at a time predict.

    Parameters
    ----------
    stack : Stack
    n_members : int
    """

    def __init__(self, stack: Stack, n_members: int):
        layout = Layout(n_members, NO_SIDE, NO_SIDE, masked=False, padding=stack.padding)
        self._model = stack.template
        self._program = program_for(stack.template, stack.numbers, layout, (None, None))
        self._constants = stack.constants()

    def of(self, members: np.ndarray, state: State, x: Sequence[np.ndarray]) -> np.ndarray:
        """What these members, by index in the stack, predict in this state; `(n_members, n_rows, ...)`.

        `x` are the rows of each, `(n_rows, ...)`, or one array for all. They are taken some hundred at a
        time, filled up, so that one compiled call serves any number.
        """
        n_rows = len(x[0])
        size = max(1, min(_ROWS, _VALUES // max(1, x[0][:1].size)))
        state = tree.map_structure(backend().put, state._replace(optimizer=[], metrics=[]))
        constants = [backend().put(constant[members]) for constant in self._constants]
        parts = []
        for first in range(0, n_rows, size):
            places = np.minimum(np.arange(first, first + size), n_rows - 1)
            rows = np.stack([own[places] for own in x])
            outputs = self._program.outputs(self._model, state, constants, rows)
            parts.append(backend().fetched(outputs)[:, : n_rows - first])
        return np.concatenate(parts, axis=1)


def predicting_shape(model: Any) -> str | None:
    """What two models must have in common to be predicted by one `Predictor`; None: it predicts by itself.

    >>> from kerashp import build_model
    >>> predicting_shape(build_model(1, 4)) == predicting_shape(build_model(1, 6))
    True
    """
    return None if of_model(model) else graph_shape(model)


class Predictor:
    """Models that predict together.

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
        """What each model predicts, with the weights that it has now, for its own rows.

        Parameters
        ----------
        x : list of array of shape (n_samples, ...)
            Of one shape and type.

        Returns
        -------
        ndarray of shape (n_models, n_samples, ...)
        """
        return self._outputs.of(self._members, self._stack.state(), x)
