"""Draws the learning curves in `docs/_static/`, of real trainings, and checks their diagnosis.

python docs/pictures.py
"""

from pathlib import Path
from typing import Any

import keras
import matplotlib
import numpy as np
from scipy.stats import loguniform
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from kerashp import KerasMLPClassifier, build_model, fit
from kerashp.diagnostics import diagnose
from kerashp.model_selection import RandomizedSearchCV
from kerashp.plotting import LearningCurvesDisplay

matplotlib.use("Agg")
from matplotlib import pyplot as plt

STATIC = Path(__file__).parent / "_static"
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "kerashp", "font.family": "sans-serif"}

# The arguments of `build_model`, and of the training, that lead to each verdict.
CAUSES: dict[str, dict[str, Any]] = {
    "divergence": {"task": "regression", "n_hidden": 0, "learning_rate": 0.3, "epochs": 20},
    "overfitting": {
        "task": "regression",
        "learning_rate": 3e-3,
        "optimizer": "adam",
        "epochs": 100,
        "n_rows": 80,
    },
    "fluctuation": {"task": "binary", "learning_rate": 0.05, "optimizer": "adam", "l2": 3e-3, "epochs": 60},
    "too slow": {"task": "regression", "learning_rate": 1e-4, "epochs": 60},
    "still improving": {"task": "binary", "learning_rate": 3e-4, "optimizer": "adam", "epochs": 20},
    "underfitting": {
        "task": "regression",
        "learning_rate": 1e-2,
        "optimizer": "adam",
        "l2": 0.3,
        "epochs": 60,
    },
    "healthy": {
        "task": "binary",
        "n_hidden": 1,
        "learning_rate": 3e-3,
        "optimizer": "adam",
        "l2": 0.01,
        "epochs": 100,
    },
}


def main() -> None:
    for verdict, cause in CAUSES.items():
        draw_training(verdict, **cause)
    draw_search()


def draw_training(
    verdict: str, *, task: str, epochs: int, n_rows: int | None = None, n_hidden: int = 2, **network: Any
) -> None:
    """One training, and a check that `diagnose` finds what its settings cause."""
    data = load_diabetes if task == "regression" else load_breast_cancer
    X, y = data(return_X_y=True)
    X, y = scale(X), scale(y) if task == "regression" else y
    X, X_valid, y, y_valid = train_test_split(X, y, random_state=0)
    X, y = X[:n_rows], y[:n_rows]
    keras.utils.set_random_seed(0)
    model = build_model(n_hidden, 64, input_shape=X.shape[1], task=task, **network)
    history = fit(model, X, y, epochs=epochs, validation_data=(X_valid, y_valid), verbose=0)
    found = diagnose(history, y=y).verdict
    if found != verdict:
        raise ValueError(f"the training for {verdict!r} is diagnosed as {found!r}: choose other settings")
    figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
    LearningCurvesDisplay.from_history(history, ax=ax)
    save(figure, f"verdict_{verdict.replace(' ', '_')}")


def draw_search() -> None:
    """The curves of a search, with its best candidate on top."""
    X, y = load_breast_cancer(return_X_y=True)
    mlp = KerasMLPClassifier(early_stopping=True, epochs=60, patience=8, random_state=0)
    space = {
        "n_neurons": np.arange(8, 65),
        "learning_rate": loguniform(1e-3, 3e-2),
        "l2": loguniform(1e-4, 1e-1),
    }
    search = RandomizedSearchCV(mlp, space, n_iter=12, cv=3, random_state=0).fit(X, y)
    figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
    LearningCurvesDisplay.from_search(search, ax=ax)
    save(figure, "learning_curves")


def save(figure: Any, name: str) -> None:
    with matplotlib.rc_context(STYLE):
        figure.savefig(STATIC / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)
    print(name)


if __name__ == "__main__":
    main()
