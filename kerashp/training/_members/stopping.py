"""Early stopping of one member of a population, decided by Keras' own callback."""

import copy
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from kerashp._compat.keras import set_monitor_op
from kerashp.training._members.convergence import least_epochs

_NUMPY_OPERATIONS = {ops.less: np.less, ops.greater: np.greater}


def _compare(operation: Any, value: float, best: float) -> bool:
    """Keras' own comparison, in its float type, but without a tensor: a hundred times faster."""
    return bool(_NUMPY_OPERATIONS[operation](*np.array([value, best], keras.config.floatx())))


class Watch:
    """Shows an `EarlyStopping` the logs of a member, in place of the model that it asks for.

    Parameters
    ----------
    stopping : keras.callbacks.EarlyStopping
        It is copied. Its monitor, min_delta, patience, mode, baseline, start_from_epoch and
        restore_best_weights are used.
    metrics : list of keras.metrics.Metric
        The model's metrics, which tell whether more is better.

    Attributes
    ----------
    stop_training : bool
        Whether the callback has ended training.
    """

    def __init__(self, stopping: Any, metrics: list[Any]):
        self.stop_training = False
        self.metrics = metrics
        self._weights_were_read = False
        self._stopping = copy.copy(stopping)
        self._stopping.set_model(self)
        self._stopping.on_train_begin()
        if self._stopping.monitor_op is None:
            set_monitor_op(self._stopping)
        if self._stopping.monitor_op in _NUMPY_OPERATIONS:
            self._stopping.monitor_op = partial(_compare, self._stopping.monitor_op)

    def get_weights(self) -> "Watch":
        """Note that the callback keeps the weights: it reads them where they are the best so far."""
        self._weights_were_read = True
        return self

    def is_best(self, epoch: int, logs: dict[str, float]) -> bool:
        """Whether the weights after the epoch with these logs are to be kept as the best so far."""
        self._weights_were_read = False
        self._stopping.on_epoch_end(epoch, logs)
        return self._weights_were_read

    @property
    def least_epochs(self) -> int:
        """The least number of epochs before it may stop training or keep weights."""
        return 1 if self.restores else least_epochs(self._stopping)

    @property
    def restores(self) -> bool:
        """Whether the model gets its best weights at the end."""
        return bool(self._stopping.restore_best_weights)

    @property
    def best_epoch(self) -> int:
        """The epoch of the best value so far, counted from 0."""
        return int(self._stopping.best_epoch)
