"""KerasClassifier and KerasRegressor: one namespace of parameters, scikeras' routing, any model."""

import functools
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, ParameterGrid

from kerashp import KerasClassifier, KerasRegressor, build_model


def small(n_units=4, learning_rate=0.05, input_shape=(10,), activation="relu"):
    layers = [keras.layers.Dense(n_units, activation), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input(input_shape), *layers])
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(learning_rate))
    return model


def other(n_layers=2, n_units=7, input_shape=(10,)):
    layers = [keras.layers.Dense(n_units) for _ in range(n_layers)]
    model = keras.Sequential([keras.Input(input_shape), *layers, keras.layers.Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    return model


def uncompiled(n_outputs, n_units=4, input_shape=(10,)):
    return keras.Sequential(
        [keras.Input(input_shape), keras.layers.Dense(n_units), keras.layers.Dense(n_outputs)]
    )


class Net(keras.Model):
    def __init__(self, n_units=4, **kwargs):
        super().__init__(**kwargs)
        self.hidden = keras.layers.Dense(n_units, activation="relu")
        self.out = keras.layers.Dense(1)

    def call(self, x):
        return self.out(self.hidden(x))


# Parameters.


def test_the_functions_arguments_are_parameters_with_its_defaults() -> None:
    params = KerasRegressor(small).get_params()
    assert {name: params[name] for name in ("n_units", "learning_rate", "input_shape", "activation")} == {
        "n_units": 4,
        "learning_rate": 0.05,
        "input_shape": (10,),
        "activation": "relu",
    }
    assert params["epochs"] == 1
    assert params["model"] is small


def test_model_defaults_to_build_model_and_its_defaults_win() -> None:
    estimator = KerasRegressor()
    assert estimator.model is build_model
    assert estimator.optimizer == "sgd"
    assert KerasRegressor(small).optimizer == "rmsprop"


@pytest.mark.parametrize("set_by", ["constructor", "set_params", "attribute"])
def test_a_parameter_is_set_in_every_way(diabetes, set_by: str) -> None:
    estimator = KerasRegressor(small, n_units=9) if set_by == "constructor" else KerasRegressor(small)
    if set_by == "set_params":
        estimator.set_params(n_units=9)
    elif set_by == "attribute":
        estimator.n_units = 9
    assert estimator.n_units == estimator.get_params()["n_units"] == clone(estimator).n_units == 9
    assert estimator.fit(*diabetes).model_.layers[0].units == 9


def test_numpy_scalars_reach_the_function_as_pythons() -> None:
    got: list[Any] = []

    def build(n_units=1, rate=0.1, name="x", flag=False):
        got.extend([n_units, rate, name, flag])
        return small(n_units)

    values = {"n_units": np.int64(3), "rate": np.float32(0.5), "name": np.str_("y"), "flag": np.bool_(True)}
    KerasRegressor(build, **values).fit(np.zeros((5, 10)), np.zeros(5))
    assert got == [3, 0.5, "y", True]
    assert [type(value) for value in got] == [int, float, str, bool]


def test_another_model_forgets_its_predecessors_defaults() -> None:
    estimator = clone(KerasRegressor(small, epochs=3))  # a clone has every value set
    estimator.set_params(model=other)
    params = estimator.get_params()
    assert (params["n_layers"], params["n_units"], params["epochs"]) == (2, 7, 3)
    assert "learning_rate" not in params
    assert "activation" not in params


def test_models_can_be_searched(diabetes) -> None:
    grid = [{"model": [small], "n_units": [3]}, {"model": [other], "n_layers": [1, 2]}]
    search = GridSearchCV(KerasRegressor(small, random_state=0), grid, cv=2, error_score="raise").fit(
        *diabetes
    )
    assert [params["model"] for params in search.cv_results_["params"]] == [small, other, other]
    assert len(ParameterGrid(grid)) == len(search.cv_results_["params"])


def test_repr_shows_what_was_set() -> None:
    assert repr(KerasRegressor(small)) == "KerasRegressor(small)"
    assert repr(clone(KerasRegressor(small, n_units=3))) == "KerasRegressor(small, n_units=3)"
    partial = functools.partial(small, n_units=5)
    assert repr(KerasRegressor(partial, epochs=2)) == "KerasRegressor(small, epochs=2)"


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'KerasRegressor' object has no attribute 'n_trees'"):
        _ = KerasRegressor(small).n_trees


def test_arguments_with_any_name_are_parameters(diabetes) -> None:
    got: list[Any] = []

    def build(lambda_=0.1, score=3, input_shape=(10,)):
        got.append((lambda_, score))
        return small(input_shape=input_shape)

    estimator = clone(KerasRegressor(build, score=7))
    estimator.lambda_ = 0.5
    assert (estimator.get_params()["lambda_"], estimator.get_params()["score"]) == (0.5, 7)
    assert estimator.set_params(score=8).fit(*diabetes).score(*diabetes) < 1
    assert got == [(0.5, 8)]


# What a model may be.


@dataclass
class Builder:
    """A callable that compares by value, and so cannot be hashed."""

    activation: str = "relu"

    def __call__(self, n_units: int = 3) -> keras.Model:
        return small(n_units, activation=self.activation)


@pytest.mark.parametrize(
    ("model", "params"),
    [
        (small, {"n_units": 6}),
        (functools.partial(small, activation="tanh"), {"n_units": 6}),
        (uncompiled, {"n_units": 6, "optimizer": "adam"}),
        (Net, {"n_units": 6}),
        (Builder(), {"n_units": 6}),
        (lambda n_units=2: small(n_units), {"n_units": 6}),
        (lambda **arguments: small(**arguments), {"n_units": 6}),
    ],
    ids=["function", "partial", "uncompiled", "subclass", "unhashable", "lambda", "kwargs"],
)
def test_any_callable_that_returns_a_model(diabetes, model: Any, params: dict[str, Any]) -> None:
    X, y = diabetes
    fitted = KerasRegressor(model, epochs=3, random_state=0, **params).fit(X, y)
    assert fitted.model_.layers[0].units == 6
    assert fitted.predict(X).shape == y.shape
    assert fitted.history_["loss"][-1] < fitted.history_["loss"][0]


def test_a_model_is_copied_with_its_weights_and_not_trained(diabetes) -> None:
    X, y = diabetes
    model = small()
    weights = model.get_weights()
    start = model.predict(X, verbose=0).ravel()
    estimator = KerasRegressor(model, epochs=2, random_state=0)
    np.testing.assert_allclose(estimator.initialize(X, y).predict(X), start, rtol=1e-5, atol=1e-6)
    first = estimator.fit(X, y).predict(X)
    np.testing.assert_array_equal(estimator.fit(X, y).predict(X), first)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert not np.allclose(first, start)
    assert clone(estimator).model is not model


def test_a_model_with_a_class_that_keras_has_no_name_for_is_cloned(diabetes) -> None:
    class Twice(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(1), Twice()])
    estimator = clone(KerasRegressor(model, random_state=0, loss="mse"))
    assert estimator.fit(*diabetes).predict(diabetes[0]).shape == diabetes[1].shape


def test_data_arguments_follow_the_data_unless_set(iris) -> None:
    got: list[Any] = []

    def build(input_shape, n_outputs, task="regression"):
        got.append((input_shape, n_outputs, task))
        return build_model(input_shape=input_shape, n_outputs=n_outputs, task=task)

    X, y = iris
    KerasClassifier(build).fit(X, y)
    KerasClassifier(build).fit(X[y < 2], y[y < 2])
    KerasClassifier(build).fit(X, np.eye(3, dtype=int)[y])
    KerasRegressor(build).fit(X, X[:, :2])
    KerasRegressor(build, n_outputs=2).fit(X, X[:, :2])
    assert got == [
        ((4,), 3, "multiclass"),
        ((4,), 1, "binary"),
        ((4,), 3, "multilabel"),
        ((4,), 2, "regression"),
        ((4,), 2, "regression"),
    ]


# scikeras' routing.


def test_isinstance_of_scikeras_wrapper() -> None:
    from scikeras.wrappers import BaseWrapper

    assert isinstance(KerasClassifier(), BaseWrapper)
    assert isinstance(KerasRegressor(), BaseWrapper)


def test_optimizer_loss_and_metrics_are_routed(diabetes) -> None:
    fitted = KerasRegressor(
        uncompiled,
        optimizer="adam",
        optimizer__learning_rate=0.02,
        optimizer__beta_1=0.8,
        loss=keras.losses.Huber,
        loss__delta=0.5,
        metrics=["mae"],
        model__n_units=5,
        fit__batch_size=50,
        epochs=1,
    ).fit(*diabetes)
    optimizer = fitted.model_.optimizer
    assert isinstance(optimizer, keras.optimizers.Adam)
    assert float(optimizer.learning_rate.numpy()) == pytest.approx(0.02)
    assert optimizer.beta_1 == 0.8
    assert float(fitted.model_.loss([[0.0]], [[10.0]])) == pytest.approx(0.5 * 10 - 0.5 * 0.5**2)
    assert "mean_absolute_error" in fitted.history_
    assert fitted.model_.layers[0].units == 5
    assert int(optimizer.iterations.numpy()) == 9  # 442 rows by 50


def farthest(y: Any, predicted: Any) -> Any:
    return keras.ops.max(keras.ops.abs(y - predicted), -1)


def test_a_metric_of_ones_own_gets_targets_of_keras_float_type(diabetes) -> None:
    X, y = diabetes
    assert y.dtype == "float64"
    fitted = KerasRegressor(uncompiled, loss="mse", metrics=[farthest], epochs=1).fit(X, y)
    assert fitted.history_["farthest"][0] > 0


def test_callbacks_of_fit_are_routed_to_each(diabetes) -> None:
    estimator = KerasRegressor(
        uncompiled,
        epochs=9,
        fit__callbacks=[keras.callbacks.EarlyStopping],
        fit__callbacks__0__monitor="loss",
        fit__callbacks__0__patience=0,
        fit__callbacks__0__min_delta=1e9,
    )
    assert len(estimator.fit(*diabetes).history_["loss"]) == 2


def test_keras_may_add_an_axis_to_the_rows(diabetes) -> None:
    def build():
        layers = [keras.layers.Flatten(), keras.layers.Dense(1)]
        return keras.Sequential([keras.Input((10, 1)), *layers])

    assert KerasRegressor(build).fit(*diabetes).predict(diabetes[0]).shape == diabetes[1].shape


def test_routed_names_are_searched(diabetes) -> None:
    grid = {"optimizer__learning_rate": [1e-4, 0.05], "model__n_units": [2, 3]}
    search = GridSearchCV(KerasRegressor(uncompiled, optimizer="adam", epochs=5, random_state=0), grid, cv=2)
    best = search.fit(*diabetes).best_estimator_
    assert search.best_params_["optimizer__learning_rate"] == 0.05
    assert best.model_.layers[0].units == search.best_params_["model__n_units"]


def test_an_optimizer_instance_is_not_shared_between_fits(diabetes) -> None:
    optimizer = keras.optimizers.Adam(0.01)
    estimator = KerasRegressor(uncompiled, optimizer=optimizer, random_state=0)
    for _ in range(2):
        assert estimator.fit(*diabetes).model_.optimizer is not optimizer
    assert not optimizer.built


def test_what_scikeras_hands_over_is_handed_over(iris) -> None:
    got: dict[str, Any] = {}

    def build(meta, compile_kwargs, params, n_units=3):
        got.update(meta=meta, compile_kwargs=compile_kwargs, params=params)
        layers = [keras.layers.Dense(n_units), keras.layers.Dense(meta["n_classes_"], "softmax")]
        model = keras.Sequential([keras.Input((meta["n_features_in_"],)), *layers])
        model.compile(**compile_kwargs)
        return model

    estimator = KerasClassifier(build, optimizer__learning_rate=0.5)
    assert not {"meta", "compile_kwargs", "params"} & set(estimator.get_params())
    estimator.fit(*iris)
    assert got["meta"]["target_type_"] == "multiclass"
    assert got["meta"]["X_shape_"] == (150, 4)
    assert got["params"]["n_units"] == 3
    assert float(got["compile_kwargs"]["optimizer"].learning_rate.numpy()) == 0.5


def test_the_loss_of_an_uncompiled_model_follows_from_the_target(iris, diabetes) -> None:
    def build(n_outputs, input_shape):
        return keras.Sequential([keras.Input(input_shape), keras.layers.Dense(n_outputs, "sigmoid")])

    X, y = iris
    assert KerasClassifier(build).fit(X, y).model_.loss.name == "sparse_categorical_crossentropy"
    assert KerasClassifier(build).fit(X, y > 0).model_.loss.name == "binary_crossentropy"
    assert KerasRegressor(uncompiled).fit(*diabetes).model_.loss.name == "mean_squared_error"


def test_predict_arguments_are_routed(diabetes, predict_calls: list[dict[str, Any]]) -> None:
    X, y = diabetes
    routed = (
        KerasRegressor(small, random_state=0, predict__batch_size=-1, predict__verbose=0).fit(X, y).predict(X)
    )
    assert predict_calls[0]["batch_size"] == len(X)
    np.testing.assert_allclose(KerasRegressor(small, random_state=0).fit(X, y).predict(X), routed, rtol=1e-5)
    assert len(predict_calls) == 1


def test_predict_is_as_quiet_as_the_estimator(diabetes, capsys: pytest.CaptureFixture) -> None:
    KerasRegressor(small, predict__batch_size=10).fit(*diabetes).predict(diabetes[0])
    assert capsys.readouterr().out == ""


def test_a_callers_mixed_precision_policy_reaches_the_users_model(diabetes) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        fitted = KerasRegressor(small).fit(*diabetes)
        assert np.isfinite(fitted.predict(diabetes[0])).all()
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(before)
    assert fitted.model_.layers[0].compute_dtype == "bfloat16"


def test_initialize_builds_without_training(diabetes) -> None:
    X, y = diabetes
    estimator = KerasRegressor(small, random_state=0).initialize(X, y)
    assert int(estimator.model_.optimizer.iterations.numpy()) == 0
    assert estimator.predict(X).shape == y.shape
    assert estimator.partial_fit(X, y).current_epoch == 1


def test_metrics_go_to_a_model_function_that_takes_them(binary) -> None:
    X, y = binary
    fitted = KerasClassifier(metrics=["accuracy"], epochs=2, random_state=0).fit(X, y)
    assert sorted(fitted.history_) == ["accuracy", "loss"]
    with pytest.raises(ValueError, match="metrics must be None or a list of names in keras.metrics"):
        KerasClassifier(metrics=["acuracy"], epochs=2).fit(X, y)
