"""Perceptrons without an argument learn, on data as they come."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine, make_friedman1
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerashp import KerasMLPClassifier, KerasMLPRegressor

pytestmark = [
    pytest.mark.usefixtures("short_training"),
    pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning"),
]


def friedman() -> tuple[np.ndarray, np.ndarray]:
    """Ten features of 1e-3 to 1e5, and a target near 200,000."""
    X, y = make_friedman1(300, noise=1.0, random_state=0)
    return X * np.geomspace(1e-3, 1e5, 10), 2e4 * y


def bundled(load: Callable[..., Any]) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    return lambda: load(return_X_y=True)


@pytest.mark.parametrize(
    ("data", "least"),
    [(bundled(load_iris), 0.94), (bundled(load_wine), 0.96), (bundled(load_breast_cancer), 0.96)],
    ids=["iris", "wine", "breast cancer"],
)
def test_a_classifier(data: Callable[[], tuple[np.ndarray, np.ndarray]], least: float) -> None:
    X, y = data()
    cv = StratifiedKFold(5, shuffle=True, random_state=0)
    ours = cross_val_score(KerasMLPClassifier(random_state=0), X, y, cv=cv).mean()
    linear = make_pipeline(StandardScaler(), LogisticRegression())
    assert ours >= max(least, cross_val_score(linear, X, y, cv=cv).mean() - 0.02)


@pytest.mark.parametrize(
    ("data", "least"), [(bundled(load_diabetes), 0.44), (friedman, 0.85)], ids=["diabetes", "Friedman 1"]
)
def test_a_regressor(data: Callable[[], tuple[np.ndarray, np.ndarray]], least: float) -> None:
    X, y = data()
    cv = KFold(5, shuffle=True, random_state=0)
    regressor = KerasMLPRegressor(random_state=0)
    scaled = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), regressor), transformer=StandardScaler()
    )
    ours, of_scaled = (cross_val_score(own, X, y, cv=cv).mean() for own in (regressor, scaled))
    linear = cross_val_score(make_pipeline(StandardScaler(), Ridge()), X, y, cv=cv).mean()
    assert ours >= max(least, linear - 0.03)
    assert ours == pytest.approx(of_scaled, abs=0.01)


def test_a_far_outlier_costs_no_more_than_its_column() -> None:
    X, y = make_friedman1(400, noise=1.0, random_state=0)
    X[0, 3] = 1e9
    regressor = KerasMLPRegressor(random_state=0)
    scored = regressor.fit(X[:300], y[:300]).score(X[300:], y[300:])
    others = np.delete(X, 3, axis=1)
    without = regressor.fit(others[:300], y[:300]).score(others[300:], y[300:])
    assert without > 0.4
    assert scored > without - 0.05
