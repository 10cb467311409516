"""scikit-learn's rule for ending a training whose loss has stopped falling; it needs no held-out rows."""

from typing import Any

import keras


class Convergence(keras.callbacks.EarlyStopping):
    """Ends training as `sklearn.neural_network.MLPClassifier` does without early stopping.

    An epoch counts where its training loss is above the least so far less `tol`; training ends when more
    than `n_iter_no_change` epochs in a row have counted. The weights are the last epoch's. Unlike in Keras'
    rule, every epoch can lower the least loss so far, also one that improves on it by less than `tol`.

    Parameters
    ----------
    tol : float
        At least 0.
    n_iter_no_change : int
        At least 1.
    """

    def __init__(self, tol: float, n_iter_no_change: int):
        super().__init__("loss", mode="min", min_delta=tol, patience=n_iter_no_change + 1)
        self.wait = 0
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self.best = float("inf")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        loss = (logs or {})["loss"]
        self.wait = self.wait + 1 if loss > self.best - self.tol else 0
        if loss < self.best:
            self.best, self.best_epoch = loss, epoch
        if self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True


def is_patient(callback: Any) -> bool:
    """Whether a callback only counts epochs until it may end training, and keeps no weights."""
    counts = type(callback) in (Convergence, keras.callbacks.EarlyStopping)
    return counts and not callback.restore_best_weights


def least_epochs(stopping: Any) -> int:
    """The least number of epochs before an EarlyStopping can end training, whatever their logs are."""
    return max(1, stopping.patience - stopping.wait)
