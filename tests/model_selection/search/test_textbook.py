"""The textbook's snippet (A. Géron, Hands-On Machine Learning, ch. 10) as written, but for the import."""

# ruff: noqa: B006

import keras
import numpy as np
import pytest
from scipy.stats import reciprocal
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.model_selection import RandomizedSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler

from kerashp import KerasRegressor


def build_model(n_hidden=1, n_neurons=30, learning_rate=3e-3, input_shape=[8]):
    model = keras.models.Sequential()
    model.add(keras.layers.InputLayer(shape=input_shape))
    for layer in range(n_hidden):  # noqa: B007
        model.add(keras.layers.Dense(n_neurons, activation="relu"))
    model.add(keras.layers.Dense(1))
    optimizer = keras.optimizers.SGD(learning_rate=learning_rate)
    model.compile(loss="mse", optimizer=optimizer)
    return model


def _housing_like() -> list[np.ndarray]:
    """Eight scaled features and a target, split in training, validation and test."""
    X, y = make_friedman1(640, n_features=8, noise=0.5, random_state=42)
    y = (y - y.mean()) / y.std()
    X_train_full, X_test, y_train_full, y_test = train_test_split(X, y, random_state=42)
    X_train, X_valid, y_train, y_valid = train_test_split(X_train_full, y_train_full, random_state=42)
    scaler = StandardScaler().fit(X_train)
    return [
        scaler.transform(X_train),
        scaler.transform(X_valid),
        scaler.transform(X_test),
        y_train,
        y_valid,
        y_test,
    ]


def test_the_textbook_snippet_runs_as_written() -> None:
    X_train, X_valid, X_test, y_train, y_valid, y_test = _housing_like()
    keras.utils.set_random_seed(42)

    keras_reg = KerasRegressor(build_model)
    keras_reg.fit(
        X_train,
        y_train,
        epochs=100,
        validation_data=(X_valid, y_valid),
        callbacks=[keras.callbacks.EarlyStopping(patience=10)],
    )
    r2_test = keras_reg.score(X_test, y_test)
    X_new = X_test[:3]
    y_pred = keras_reg.predict(X_new)

    assert r2_test > 0.5
    assert y_pred.shape == (3,)
    assert set(keras_reg.history_) == {"loss", "val_loss"}
    assert keras_reg.history_["val_loss"][keras_reg.best_epoch_] == min(keras_reg.history_["val_loss"])


@pytest.mark.slow
def test_the_textbook_search_runs_as_written() -> None:
    X_train, X_valid, X_test, y_train, y_valid, y_test = _housing_like()
    np.random.seed(42)

    keras_reg = KerasRegressor(build_model)
    param_distribs = {
        "n_hidden": [0, 1, 2, 3],
        "n_neurons": np.arange(1, 100),
        "learning_rate": reciprocal(3e-4, 3e-2),
    }
    rnd_search_cv = RandomizedSearchCV(keras_reg, param_distribs, n_iter=10, cv=3)
    rnd_search_cv.fit(
        X_train,
        y_train,
        epochs=8,  # the book's 100, in less time
        validation_data=(X_valid, y_valid),
        callbacks=[keras.callbacks.EarlyStopping(patience=10)],
    )

    assert set(rnd_search_cv.best_params_) == set(param_distribs)
    assert np.isfinite(rnd_search_cv.cv_results_["mean_test_score"]).all()
    assert rnd_search_cv.best_score_ > 0.2
    assert rnd_search_cv.score(X_test, y_test) > 0.2
    best = rnd_search_cv.best_estimator_
    assert len(best.model_.layers) == best.n_hidden + 1
    assert float(best.model_.optimizer.learning_rate.numpy()) == np.float32(best.learning_rate)
    assert "val_loss" in best.history_


def test_an_input_shape_that_is_not_set_follows_the_data() -> None:
    X, y = load_diabetes(return_X_y=True)
    assert X.shape[1] == 10
    regressor = KerasRegressor(build_model, random_state=0).fit(X, y)
    assert regressor.model_.input_shape == (None, 10)
    assert regressor.get_params()["input_shape"] == [8]
