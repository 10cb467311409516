"""scikit-learn estimators around Keras models."""

from kerashp import _loading  # noqa: F401  # before Keras
from kerashp.estimators._mlp import KerasMLPClassifier, KerasMLPRegressor
from kerashp.estimators._wrapped import KerasClassifier, KerasRegressor

__all__ = ["KerasClassifier", "KerasMLPClassifier", "KerasMLPRegressor", "KerasRegressor"]
