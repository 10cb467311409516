"""From a check of the inputs to a tuned network, on breast cancer data, with a diagnosis at every step."""

import argparse
import os
import tempfile
from typing import Any

from startup import load_tensorflow

load_tensorflow()

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerashp import KerasMLPClassifier, build_model, fit
from kerashp.callbacks import EarlyStopping, LearningRateWarmup, ModelCheckpoint
from kerashp.diagnostics import (
    check_gradients,
    check_initialization,
    compare_distributions,
    diagnose,
    find_learning_rate,
)
from kerashp.model_selection import RandomizedSearchCV, grow_capacity
from kerashp.spaces import loguniform


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--n-iter", type=int, default=20)
    options = parser.parse_args(arguments)
    keras.utils.set_random_seed(0)
    data = load_breast_cancer()
    X, X_test, y, y_test = train_test_split(data.data, data.target, stratify=data.target, random_state=0)
    X_train, X_valid, y_train, y_valid = train_test_split(X, y, stratify=y, random_state=0)

    _say("1. Do the training and the validation rows have the same distribution?")
    print(compare_distributions(X_train, X_valid, columns=list(data.feature_names)))

    scaler = StandardScaler().fit(X_train)
    scaled, scaled_valid = scaler.transform(X_train), scaler.transform(X_valid)
    check_network(X_train, scaled, y_train)
    rate = train_network(scaled, y_train, (scaled_valid, y_valid), options.epochs)
    grown, search = search_networks(X, y, rate, options.epochs, options.n_iter)

    _say("8. Accuracy on the test rows")
    baseline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    for name, model in {"grown": grown, "tuned": search, "logistic regression": baseline}.items():
        accuracy = np.mean(model.predict(X_test) == y_test)
        print(f"{name}: accuracy {accuracy:.3f} on {len(y_test)} rows")


def check_network(X: np.ndarray, scaled: np.ndarray, y: np.ndarray) -> None:
    """Steps 2 and 3, before any training."""
    _say("2. Are the inputs scaled, and do signals keep their scale in the network?")
    print(check_initialization(_network(), X, y))
    print("\nWith scaled inputs:")
    print(check_initialization(_network(), scaled, y))

    _say("3. Are the gradients right?")
    print(check_gradients(_network(), scaled[:64], y[:64], n_weights=100, after_epochs=2))


def train_network(
    X: np.ndarray, y: np.ndarray, validation: tuple[np.ndarray, np.ndarray], epochs: int
) -> float:
    """Steps 4 and 5; returns the learning rate that was found."""
    _say("4. How does a guessed learning rate do, and which one is better?")
    options = {"epochs": epochs, "validation_data": validation, "verbose": 0}
    print(diagnose(fit(_network(1e-3), X, y, **options), y=y))
    rates = find_learning_rate(_network(), X, y, n_rates=13, validation_fraction=0.2)
    print(rates)

    _say("5. Training with the suggested rate, warm-up, early stopping and checkpoints")
    with tempfile.TemporaryDirectory() as folder:
        stopping = EarlyStopping(patience=15)
        checkpoint = ModelCheckpoint(f"{folder}/{{epoch:03d}}.keras", keep=1)
        callbacks = [LearningRateWarmup(2), stopping, checkpoint]
        history = fit(_network(rates.suggestion), X, y, callbacks=callbacks, **options)
        print(diagnose(history, y=y))
        files = ", ".join(sorted(os.listdir(folder)))
        print(f"The best epoch was {stopping.best_epoch + 1}; files: {files}")
    return rates.suggestion


def search_networks(X: np.ndarray, y: np.ndarray, rate: float, epochs: int, n_iter: int) -> tuple[Any, Any]:
    """Steps 6 and 7; returns the grown estimator and the search."""
    _say("6. How large should the network be?")
    mlp = KerasMLPClassifier(
        n_neurons=8,
        learning_rate=rate,
        optimizer="sgd",
        batch_size=32,
        epochs=epochs,
        tol=None,  # `diagnose` shows whether these epochs are enough
    )
    growth = grow_capacity(make_pipeline(StandardScaler(), mlp), X, y, max_depth=3, max_width=32)
    print(growth)

    _say("7. A search over sizes, learning rates, schedules and regularisation")
    space: dict[str, Any] = {
        "n_hidden": [1, 2],
        "n_neurons": [8, 16, 32],
        "learning_rate": loguniform(rate / 10, rate),
        "l2": loguniform(1e-5, 1e-1),
        "dropout": [0.0, 0.2],
        "schedule": ["constant", "cosine"],
    }
    search = RandomizedSearchCV(
        make_pipeline(StandardScaler(), mlp),
        {f"kerasmlpclassifier__{name}": values for name, values in space.items()},
        n_iter=n_iter,
        scoring="neg_log_loss",
        random_state=0,
    )
    search.fit(X, y)
    for name, value in search.best_params_.items():
        print(f"{name.removeprefix('kerasmlpclassifier__')}: {value}")
    print(diagnose(search))
    return growth.estimator, search


def _network(learning_rate: float = 0.01) -> keras.Model:
    return build_model(2, 16, learning_rate, 30, task="binary")


def _say(question: str) -> None:
    print(f"\n{question}\n{'-' * len(question)}")


if __name__ == "__main__":
    main()
