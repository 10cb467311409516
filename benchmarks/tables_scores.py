"""What a side of benchmarks/tables.py returns, and how it is scored."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, log_loss
from tables_data import Table

LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class Outcome:
    """Predictions for the test rows: values, or the probabilities of all classes.

    `validation` is the score of held-out rows by which the side selected: RMSE or log-loss.
    """

    side: str
    predictions: np.ndarray
    seconds: float
    validation: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


def predicted(model: Any, table: Table) -> np.ndarray:
    """Values, or probabilities, of a model that takes the data frames as they are."""
    return np.asarray((model.predict if table.is_regression else model.predict_proba)(table.X_test))


def loss_of(score: float, table: Table) -> float:
    """The loss of which scikit-learn's score is the negative mean square, or the negative."""
    return float(np.sqrt(-score) if table.is_regression else -score)


def loss(table: Table, y: np.ndarray, predictions: np.ndarray) -> float:
    """The root mean squared error, or the log-loss."""
    if table.is_regression:
        return float(np.sqrt(np.mean((np.ravel(predictions).astype(float) - y) ** 2)))
    probabilities = np.clip(np.asarray(predictions, float), LEAST_PROBABILITY, 1)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return float(log_loss(y, probabilities, labels=np.arange(probabilities.shape[1])))


def scored(table: Table, outcome: Outcome) -> dict[str, Any]:
    """The row of a result, but for what the runner knows."""
    test = loss(table, table.y_test, outcome.predictions)
    if not np.isfinite(test):
        raise ValueError(f"{outcome.side} predicts values that are not finite")
    scores = {"rmse" if table.is_regression else "log_loss": test}
    if not table.is_regression:
        scores["accuracy"] = float(accuracy_score(table.y_test, outcome.predictions.argmax(axis=1)))
    row = {"side": outcome.side, "scores": scores, "seconds": outcome.seconds}
    return row | {"validation": outcome.validation, "details": outcome.details}
