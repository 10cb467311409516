"""Keras' early stopping, with the best weights restored by default."""

from typing import Any

import keras


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Stops a training that has not improved for some epochs, and restores the best weights.

    It is Keras' callback with another default of `restore_best_weights`. Under `kerashp.fit` the epochs stay
    compiled; in a search each candidate of a population stops at its own epoch.

    Parameters
    ----------
    monitor : str, default="val_loss"
        The name, in the logs, of the value that is to improve.
    min_delta : float, default=0.0
        The least change that counts as an improvement.
    patience : int, default=0
        Epochs without an improvement after which training stops.
    verbose : {0, 1}, default=0
        Whether a message is printed when training stops.
    mode : {"auto", "min", "max"}, default="auto"
        Whether less or more is better; "auto" goes by the metric.
    baseline : float, default=None
        Training stops if the value is not better than this within `patience` epochs.
    restore_best_weights : bool, default=True
        Whether the model ends with the weights of its best epoch, stopped or not, or with the last.
    start_from_epoch : int, default=0
        The first epoch, counted from 0, whose value counts.

    Attributes
    ----------
    best_epoch : int
        After training: the epoch of the best value, counted from 0.
    best : float
        The best value.
    stopped_epoch : int
        The epoch that training stopped after, counted from 0; 0 where it did not.

    References
    ----------
    https://keras.io/api/callbacks/early_stopping/; A. Géron, Hands-On Machine Learning, ch. 10, "Using
    Callbacks".

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp import build_model, fit
    >>> from kerashp.callbacks import EarlyStopping
    >>> X = np.random.default_rng(0).normal(size=(100, 8))
    >>> stopping, model = EarlyStopping(patience=3), build_model(1, 30, learning_rate=0.01)
    >>> history = fit(model, X, X[:, 0], epochs=20, validation_split=0.2, verbose=0, callbacks=[stopping])
    >>> bool(stopping.best_epoch == np.argmin(history.history["val_loss"]))
    True
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
    ):
        super().__init__(
            monitor=monitor,
            min_delta=min_delta,
            patience=patience,
            verbose=verbose,
            mode=mode,
            baseline=baseline,
            restore_best_weights=restore_best_weights,
            start_from_epoch=start_from_epoch,
        )
        self.best_epoch: Any = None
