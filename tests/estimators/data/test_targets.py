"""Labels of any type, one output or many, images, frames: what goes in and what comes out."""

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits, make_multilabel_classification
from sklearn.preprocessing import scale

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, KerasRegressor

CLASSIFIERS = [
    KerasMLPClassifier(n_neurons=16, learning_rate=0.05, epochs=15, random_state=0),
    KerasClassifier(n_neurons=16, learning_rate=0.05, epochs=15, random_state=0, optimizer="adam"),
]
REGRESSORS = [
    KerasMLPRegressor(n_neurons=16, learning_rate=0.05, epochs=15, random_state=0),
    KerasRegressor(n_neurons=16, learning_rate=0.05, epochs=15, random_state=0, optimizer="adam"),
]
LABELS = {
    "int": np.array([3, -1, 7]),
    "bool": np.array([False, True]),
    "str": np.array(["b", "a", "c"]),
    "object": np.array(["b", "a", "c"], dtype=object),
    "float": np.array([1.0, 0.0, 2.0]),
}


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=["mlp", "wrapped"])
@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_type_come_back(iris, classifier: Any, kind: str) -> None:
    X, codes = iris
    labels = LABELS[kind]
    keep = codes < len(labels)
    X, y = X[keep], labels[codes[keep]]
    fitted = classifier.fit(X, y)
    np.testing.assert_array_equal(fitted.classes_, np.unique(labels))
    predicted = fitted.predict(X)
    assert predicted.dtype == y.dtype
    assert predicted.shape == y.shape
    assert fitted.score(X, y) > 0.8
    proba = fitted.predict_proba(X)
    assert proba.shape == (len(X), len(labels))
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(fitted.classes_[proba.argmax(axis=1)], predicted)


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=["mlp", "wrapped"])
def test_decision_function_of_two_classes_is_one_dimensional(binary, classifier: Any) -> None:
    X, y = binary
    fitted = classifier.fit(X, y)
    decision = fitted.decision_function(X)
    assert decision.shape == (len(X),)
    np.testing.assert_array_equal((decision > 0).astype(int), fitted.predict(X))
    proba = fitted.predict_proba(X)[:, 1]
    np.testing.assert_allclose(1 / (1 + np.exp(-decision)), proba, rtol=1e-6)
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba(X)), fitted.predict_proba(X))


def test_decision_function_of_more_classes_ranks_as_predict_does(iris) -> None:
    fitted = CLASSIFIERS[0].fit(*iris)
    decision = fitted.decision_function(iris[0])
    assert decision.shape == (150, 3)
    np.testing.assert_array_equal(decision.argmax(axis=1), fitted.predict(iris[0]))


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=["mlp", "wrapped"])
def test_multilabel(classifier: Any) -> None:
    X, y = make_multilabel_classification(200, 8, n_classes=4, random_state=0)
    X = scale(X)
    fitted = classifier.fit(X, y)
    predicted, proba = fitted.predict(X), fitted.predict_proba(X)
    assert predicted.shape == proba.shape == fitted.decision_function(X).shape == (200, 4)
    assert set(np.unique(predicted)) == {0, 1}
    np.testing.assert_array_equal(predicted, proba > 0.5)
    assert (predicted == y).mean() > 0.7
    np.testing.assert_array_equal(fitted.classes_, np.arange(4))
    assert fitted.predict(X[:1]).shape == (1, 4)


def test_an_indicator_matrix_with_one_label_a_row_is_multilabel_still(iris) -> None:
    X, y = iris
    fitted = CLASSIFIERS[0].fit(X, np.eye(3, dtype=int)[y])
    assert fitted.model_.layers[-1].activation.__name__ == "sigmoid"
    assert fitted.predict_proba(X).shape == (150, 3)


@pytest.mark.parametrize("regressor", REGRESSORS, ids=["mlp", "wrapped"])
@pytest.mark.parametrize("shape", [(), (1,), (3,)])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_regression_keeps_shape_and_type(
    diabetes, regressor: Any, shape: tuple[int, ...], dtype: str
) -> None:
    X, y = diabetes
    y = (100 * np.broadcast_to(y.reshape(-1, *[1] * len(shape)), (len(y), *shape))).astype(dtype)
    predicted = regressor.fit(X, y / 100 if dtype != "int64" else y).predict(X)
    assert predicted.shape == y.shape
    assert predicted.dtype == ("float64" if dtype == "int64" else dtype)
    if dtype != "int64":
        assert regressor.score(X, y / 100) > 0.3


def _network(width: int, activation: str | None, loss: Any) -> Any:
    def build(input_shape=(4,)):
        layers = [keras.layers.Dense(8, "relu"), keras.layers.Dense(width, activation)]
        model = keras.Sequential([keras.Input(input_shape), *layers])
        model.compile(loss=loss, optimizer=keras.optimizers.Adam(0.05))
        return model

    return build


_LOSSES = keras.losses


@pytest.mark.parametrize(
    ("width", "activation", "loss"),
    [
        (1, "sigmoid", "binary_crossentropy"),
        (1, None, _LOSSES.BinaryCrossentropy(from_logits=True)),
        (1, "tanh", "hinge"),
        (1, "sigmoid", "mse"),
        (2, "softmax", "sparse_categorical_crossentropy"),
        (2, "softmax", "categorical_crossentropy"),
        (2, None, _LOSSES.SparseCategoricalCrossentropy(from_logits=True)),
        (2, "sigmoid", "binary_crossentropy"),
    ],
)
def test_two_classes_with_any_loss_that_fits(binary, width: int, activation: Any, loss: Any) -> None:
    X, y = binary
    fitted = KerasClassifier(_network(width, activation, loss), epochs=25, random_state=0).fit(X, y)
    assert fitted.score(X, y) > 0.85
    np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        ("softmax", "sparse_categorical_crossentropy"),
        ("softmax", _LOSSES.CategoricalCrossentropy(label_smoothing=0.1)),
        (None, _LOSSES.CategoricalCrossentropy(from_logits=True)),
        ("sigmoid", "binary_crossentropy"),
        ("softmax", "kl_divergence"),
        (None, "categorical_hinge"),
        ("softmax", "mse"),
    ],
)
def test_three_classes_with_any_loss_that_fits(iris, activation: Any, loss: Any) -> None:
    X, y = iris
    fitted = KerasClassifier(_network(3, activation, loss), epochs=25, random_state=0).fit(X, y)
    assert fitted.score(X, y) > 0.8
    np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1)


def test_one_hot_rows_with_a_softmax_model_get_exactly_one_label(iris) -> None:
    X, y = iris
    rows = np.eye(3, dtype=int)[y]
    fitted = KerasClassifier(_network(3, "softmax", "categorical_crossentropy"), epochs=25, random_state=0)
    predicted = fitted.fit(X, rows).predict(X)
    assert (predicted.sum(axis=1) == 1).all()
    assert fitted.score(X, rows) > 0.8


def test_images_are_flattened_and_checked() -> None:
    images, y = load_digits(return_X_y=False).images[:300] / 16, load_digits().target[:300]
    fitted = KerasClassifier(optimizer="adam", learning_rate=0.02, epochs=15, random_state=0).fit(images, y)
    assert fitted.score(images, y) > 0.7
    assert fitted.model_.layers[0].name == "flatten"
    with pytest.raises(ValueError, match=r"rows of shape \(8, 4\).*fitted with rows of shape \(8, 8\)"):
        fitted.predict(images[:, :, :4])


def test_integers_reach_an_embedding() -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 5, size=(120, 2))

    def build():
        layers = [keras.layers.Embedding(5, 4), keras.layers.Flatten(), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((2,), dtype="int32"), *layers])
        model.compile(loss="mse", optimizer=keras.optimizers.Adam(0.05))
        return model

    y = (X.sum(axis=1) - 4.0) / 2
    assert KerasRegressor(build, epochs=30, random_state=0).fit(X, y).score(X, y) > 0.9


def test_large_inputs_are_let_through_where_an_operation_comes_first() -> None:
    inputs = keras.Input((2,))
    scaled = keras.layers.Dense(1, "sigmoid")(keras.ops.log1p(inputs) / 30)
    model = keras.Model(inputs, scaled)
    model.compile("sgd", "binary_crossentropy")
    X = np.random.default_rng(0).random((20, 2)) * 1e11
    assert KerasClassifier(model, epochs=1, random_state=0).fit(X, X[:, 0] > 5e10).predict(X).shape == (20,)
