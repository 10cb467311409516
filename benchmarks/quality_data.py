"""The data of benchmarks/quality.py, the networks that all sides search, and their results."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from common import HOUSING, housing
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from kerashp.spaces import int_loguniform, loguniform

# One space for all: lists, or the ends of a log scale. Batch size and optimizer are Keras' and its guides'.
HIDDEN, BATCHES, OPTIMIZERS = [1, 2, 3], [32], ["adam"]
WIDTHS, RATES, PENALTIES = (16, 128), (3e-4, 3e-2), (1e-6, 1e-3)
SPACE = {
    "n_hidden": HIDDEN,
    "n_neurons": int_loguniform(*WIDTHS),
    "learning_rate": loguniform(*RATES),
    "l2": loguniform(*PENALTIES),
    "batch_size": BATCHES,
    "optimizer": OPTIMIZERS,
}
EPOCHS, PATIENCE = 100, 5  # at the most; the patience is that of keras-tuner's tutorial
N_FOLDS = 3
FARTHEST = 5  # deviations from the mean: one block of housing has 1,243 people a household, 630 from it


def network(
    input_shape: Any = (8,),
    n_outputs: int = 1,
    n_hidden: int = 1,
    n_neurons: int = 30,
    learning_rate: float = 1e-3,
    l2: float = 0.0,
    optimizer: str = "adam",
) -> Any:
    """The Keras model of all sides that search one."""
    model = keras.Sequential([keras.Input(input_shape)])
    for _ in range(n_hidden):
        penalty = keras.regularizers.L2(l2)
        model.add(keras.layers.Dense(n_neurons, "relu", kernel_regularizer=penalty))
    activation, loss, metric = (
        (None, "mse", "mse") if n_outputs == 1 else ("softmax", "sparse_categorical_crossentropy", "accuracy")
    )
    model.add(keras.layers.Dense(n_outputs, activation))
    made_by = {
        "adam": keras.optimizers.Adam,
        "sgd": partial(keras.optimizers.SGD, momentum=0.9, nesterov=True),
    }
    model.compile(made_by[optimizer](learning_rate), loss, metrics=[metric])
    return model


@dataclass(frozen=True)
class Data:
    """The rows for the search, and the test rows."""

    name: str
    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    seed: int

    @property
    def is_regression(self) -> bool:
        return self.name == "housing"

    def built(self, params: dict[str, Any]) -> Any:
        """A model of these values."""
        own = {name: value for name, value in params.items() if name != "batch_size"}
        return network(self.X.shape[1:], 1 if self.is_regression else 10, **own)

    def error(self, predict: Callable[[np.ndarray], Any]) -> float:
        """The test error: the root mean squared error, or the share of wrong labels."""
        predicted = np.asarray(predict(self.X_test))
        if self.is_regression:
            return float(np.sqrt(np.mean((predicted.ravel() - self.y_test) ** 2)))
        labels = predicted.argmax(axis=1) if predicted.ndim == 2 else predicted
        return float(np.mean(labels != self.y_test))

    def error_of(self, model: Any) -> float:
        """The test error of a Keras model."""
        return self.error(lambda X: model.predict(X, batch_size=1024, verbose=0))


def divided(name: str, seed: int, csv: Path = HOUSING) -> Data:
    """Divide the rows: a quarter for the test; the statistics of the others scale the features."""
    if name == "housing":
        X, y, _ = housing(csv=csv)
        y = y.ravel()
    else:
        X, y = load_digits(return_X_y=True)
    stratify = None if name == "housing" else y
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=stratify)
    scaler = StandardScaler().fit(X)
    X, X_test = (scaler.transform(rows).clip(-FARTHEST, FARTHEST).astype("float32") for rows in (X, X_test))
    return Data(name, X, y, X_test, y_test, seed)


@dataclass(frozen=True)
class Outcome:
    """What a side has at the end of a budget; test errors and seconds by what is judged, if anything is.

    `budget` is None for what has no use for one.
    """

    budget: float | None
    errors: dict[str, float]
    seconds: dict[str, float]
    candidates: int
    params: dict[str, Any]
