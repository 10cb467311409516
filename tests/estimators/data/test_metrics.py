"""Metrics of classifiers: they get targets of the form that they take, or are refused by name."""

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import f1_score

from kerashp import KerasClassifier, KerasRegressor
from kerashp.estimators._data.losses import loss_of
from kerashp.model_selection import GridSearchCV

RNG = np.random.default_rng(0)
N_ROWS = 60
LABELS = RNG.integers(0, 3, N_ROWS)
X = np.eye(3, dtype="float32")[LABELS] + RNG.normal(scale=0.7, size=(N_ROWS, 3)).astype("float32")
PROBABILITIES = RNG.dirichlet(np.ones(3), N_ROWS).astype("float32")
PROBABILITIES = (PROBABILITIES + np.eye(3, dtype="float32")[LABELS]) / 2
PROBABILITIES[:20] = np.eye(3, dtype="float32")[LABELS[:20]]

OPTIONS: dict[str, dict[str, Any]] = {
    "IoU": {"num_classes": 3, "target_class_ids": [0, 2], "sparse_y_pred": False},
    "MeanIoU": {"num_classes": 3, "sparse_y_pred": False},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [0, 2]},
    "OneHotMeanIoU": {"num_classes": 3},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "TopKCategoricalAccuracy": {"k": 2},
    "SparseTopKCategoricalAccuracy": {"k": 2},
}
BASES = ("Metric", "Mean", "Sum", "MeanMetricWrapper")
METRICS = {
    name: (value, OPTIONS.get(name, {}))
    for name, value in vars(keras.metrics).items()
    if isinstance(value, type) and issubclass(value, keras.metrics.Metric) and name not in BASES
}
BY_INDICES = ("IoU", "MeanIoU")  # of whose names the form does not follow


def network(n_outputs: int = 3, activation: str = "softmax") -> Any:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(n_outputs, activation)])


def value(name: str, targets: np.ndarray) -> np.ndarray | None:
    """What the metric says of the targets; None where it fails."""
    make, options = METRICS[name]
    metric = make(**options)
    try:
        metric.update_state(targets, PROBABILITIES)
        return np.asarray(keras.ops.convert_to_numpy(metric.result()))
    except Exception:
        return None


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "categorical_crossentropy"])
@pytest.mark.parametrize("name", METRICS)
def test_a_metric_gets_targets_of_the_form_that_it_takes(name: str, loss: str) -> None:
    make, options = METRICS[name]
    classifier = KerasClassifier(network, loss=loss, metrics=[make(**options, name="own")], random_state=0)
    of_indices = name.startswith("Sparse") or name in BY_INDICES
    right = value(name, LABELS[:, None] if of_indices else np.eye(3, dtype="float32")[LABELS])
    given = LABELS[:, None] if loss.startswith("sparse") else np.eye(3, dtype="float32")[LABELS]
    assert right is not None
    if of_indices == loss.startswith("sparse"):
        encoded = np.asarray(classifier.initialize(X, LABELS).target_encoder_.transform(LABELS))
        np.testing.assert_array_equal(value(name, encoded.reshape(given.shape)), right)
        return
    found = value(name, given)
    assert found is None or found.shape != right.shape or not np.allclose(found, right)
    with pytest.raises(ValueError, match=f"metric 'own' takes .*, but its loss, '{loss}', takes .*: "):
        classifier.initialize(X, LABELS)


@pytest.mark.parametrize(
    "metrics", [["accuracy", "f1_score"], [keras.metrics.F1Score], [keras.metrics.FBetaScore()]], ids=str
)
def test_the_default_loss_takes_what_the_metrics_take(metrics: list[Any]) -> None:
    own = {"optimizer": "adam", "optimizer__learning_rate": 0.1, "epochs": 20, "random_state": 0}
    classifier = KerasClassifier(network, metrics=metrics, **own)
    fitted = classifier.fit(X, LABELS, validation_data=(X, LABELS))
    assert loss_of(fitted.model_).name == "categorical_crossentropy"
    (name,) = [name for name in fitted.history_ if name.startswith("val_f")]
    expected = f1_score(LABELS, fitted.predict(X), average=None)
    np.testing.assert_allclose(fitted.history_[name][-1], expected, rtol=1e-5)
    assert expected.min() > 0.7
    plain = KerasClassifier(network, metrics=["accuracy"], **own).fit(X, LABELS, validation_data=(X, LABELS))
    assert loss_of(plain.model_).name == "sparse_categorical_crossentropy"
    np.testing.assert_allclose(plain.history_["val_loss"], fitted.history_["val_loss"], rtol=1e-5)


def test_a_search_has_the_metrics_of_the_same_fit() -> None:
    classifier = KerasClassifier(
        network, optimizer__learning_rate=0.1, metrics=[keras.metrics.F1Score("macro")], random_state=0
    )
    search = GridSearchCV(classifier, {"epochs": [2, 3]}, cv=2).fit(X, LABELS, validation_data=(X, LABELS))
    for epochs, curves in zip((2, 3), search.histories_, strict=True):
        assert all(len(own["val_f1_score"]) == epochs for own in curves)
    best = search.best_estimator_
    expected = f1_score(LABELS, best.predict(X), average="macro")
    assert best.history_["val_f1_score"][-1] == pytest.approx(expected, rel=1e-5)


def accuracy_of_indices(y: Any, predicted: Any) -> Any:
    return keras.metrics.sparse_categorical_accuracy(y, predicted)


class OwnF1(keras.metrics.F1Score):
    """Encodes its targets itself."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        classes = keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32")
        return super().update_state(keras.ops.one_hot(classes, 3), y_pred, sample_weight)


@pytest.mark.parametrize(
    "metric",
    [accuracy_of_indices, OwnF1("macro"), "acc", "sparse_categorical_accuracy"],
    ids=["function", "class", "short name", "name"],
)
def test_metrics_of_indices_and_of_ones_own_stay(metric: Any) -> None:
    classifier = KerasClassifier(network, loss="sparse_categorical_crossentropy", metrics=[metric])
    classifier.initialize(X, LABELS)
    if not isinstance(metric, OwnF1):
        return
    fitted = classifier.fit(X, LABELS, validation_data=(X, LABELS))
    expected = f1_score(LABELS, fitted.predict(X), average="macro")
    assert fitted.history_["val_f1_score"][-1] == pytest.approx(expected, rel=1e-5)


BINARY = (LABELS > 0).astype(int)
INDICATOR = np.eye(3, dtype=int)[LABELS] | np.eye(3, dtype=int)[LABELS[::-1]]
F1, SPARSE = keras.metrics.F1Score, "sparse_categorical_accuracy"


@pytest.mark.parametrize(
    ("model", "y", "metric", "message"),
    [
        (
            lambda: network(1, "sigmoid"),
            BINARY,
            F1(),
            r"'f1_score' takes one-hot rows.*one column of 0 and 1",
        ),
        (
            lambda: network(1, "sigmoid"),
            BINARY,
            SPARSE,
            r"'sparse_cat.* takes one class index for each row.*'accuracy'",
        ),
        (
            lambda: network(1, "sigmoid"),
            BINARY,
            "categorical_accuracy",
            r"one-hot rows.*F1Score\(threshold=0.5\)",
        ),
        (lambda: network(3, "sigmoid"), INDICATOR, SPARSE, r"an indicator matrix.*'binary_accuracy'"),
        (lambda: network(1, "sigmoid"), BINARY, F1(threshold=0.5), None),
        (lambda: network(1, "sigmoid"), BINARY, "auc", None),
        (lambda: network(3, "sigmoid"), INDICATOR, F1("micro", 0.5), None),
        (lambda: network(2), BINARY, keras.losses.CategoricalCrossentropy(), None),
    ],
)
def test_metrics_of_two_classes_and_of_labels(
    model: Any, y: np.ndarray, metric: Any, message: str | None
) -> None:
    classifier = KerasClassifier(model, metrics=[metric])
    if message is None:
        classifier.initialize(X, y)
        return
    with pytest.raises(ValueError, match=message):
        classifier.fit(X, y)


def test_a_model_that_comes_compiled_is_asked_too() -> None:
    def compiled() -> Any:
        model = network()
        model.compile(
            "sgd", "sparse_categorical_crossentropy", weighted_metrics=[keras.metrics.AUC(name="area")]
        )
        return model

    with pytest.raises(
        ValueError, match=r"metric 'area' takes targets of the shape.*'categorical_crossentropy', wh"
    ):
        KerasClassifier(compiled).fit(X, LABELS)


def test_a_regressor_takes_any_metric() -> None:
    regressor = KerasRegressor(lambda: network(1, "linear"), metrics=["mae", "r2_score"], random_state=0)
    fitted = regressor.fit(X, X[:, 0], validation_data=(X, X[:, 0]))
    assert fitted.history_["val_r2_score"][-1] == pytest.approx(fitted.score(X, X[:, 0]), rel=1e-4)
