"""TensorFlow's warnings that several models were traced, which is what a search does, are not shown."""

import logging

import keras
import pytest
import scikeras.wrappers
from sklearn.model_selection import StratifiedKFold

from kerashp.model_selection import GridSearchCV

if keras.backend.backend() != "tensorflow":
    pytest.skip("these are warnings of TensorFlow's", allow_module_level=True)


def _network(n_units: int = 3) -> keras.Model:
    layers = [keras.layers.Dense(n_units, "relu"), keras.layers.Dense(3, "softmax")]
    return keras.Sequential([keras.Input((4,)), *layers])


class _Collected(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def test_a_search_over_scikeras_estimators_is_silent(iris) -> None:
    X, y = iris
    logger, collected = logging.getLogger("tensorflow"), _Collected()
    filters = list(logger.filters)
    logger.addHandler(collected)
    try:
        estimator = scikeras.wrappers.KerasClassifier(
            _network, n_units=3, loss="sparse_categorical_crossentropy", epochs=1, verbose=0
        )
        search = GridSearchCV(estimator, {"n_units": [3, 4, 5]}, cv=StratifiedKFold(3))
        search.fit(X, y)
    finally:
        logger.removeHandler(collected)
    assert len(search.cv_results_["params"]) == 3
    assert [message for message in collected.messages if "retracing" in message] == []
    assert logger.filters == filters
