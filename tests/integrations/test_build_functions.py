"""keras-tuner's `build(hp)` functions as models of estimators."""

import inspect
import pickle
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from sklearn.base import clone

from kerashp import KerasClassifier, KerasRegressor
from kerashp.integrations.keras_tuner import MLPHyperModel, from_build
from kerashp.model_selection import GridSearchCV, OracleSearchCV, RandomizedSearchCV

X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
CLASSES = np.where(X[:, 0] > 0, "high", "low")


def compiled(layers: list[Any], rate: float = 0.01, optimizer: Any = keras.optimizers.SGD) -> Any:
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1, "sigmoid")])
    model.compile(optimizer(rate), "binary_crossentropy")
    return model


def build(hp: Any) -> Any:
    """As in keras-tuner's guide: a loop over layers, and a choice that Python makes."""
    layers = [
        keras.layers.Dense(hp.Int(f"units {index}", 4, 64, step=4), hp.Choice("activation", ["relu", "tanh"]))
        for index in range(hp.Int("n_layers", 1, 3))
    ]
    if hp.Boolean("dropout"):
        layers.append(keras.layers.Dropout(hp.Float("rate", 0.1, 0.5)))
    return compiled(layers, hp.Float("learning_rate", 1e-4, 1e-1, sampling="log"))


def scoped(hp: Any) -> Any:
    """With what depends on something else in a scope."""
    kind = hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        momentum = hp.Float("momentum", 0.5, 0.9, step=0.2)
    if kind == "adam":
        assert momentum is None
        return compiled([], 0.1, keras.optimizers.Adam)
    return compiled([], 0.1, lambda rate: keras.optimizers.SGD(rate, momentum))


def test_all_hyperparameters_are_found_whatever_they_depend_on() -> None:
    model = from_build(build)
    names = ["n_layers", "units_0", "activation", "dropout", "learning_rate", "units_1", "units_2", "rate"]
    assert sorted(inspect.signature(model).parameters) == sorted(names)
    parameters = inspect.signature(model).parameters
    assert {name: parameters[name].default for name in ("n_layers", "units_2", "dropout", "rate")} == {
        "n_layers": 1,
        "units_2": 4,
        "dropout": False,
        "rate": 0.1,
    }
    space = model.space
    assert space["units_1"] == list(range(4, 65, 4))
    assert space["learning_rate"].support() == (1e-4, 1e-1)
    assert space["n_layers"].support() == (1, 3)


def test_it_builds_what_keras_tuner_builds() -> None:
    hp = keras_tuner.HyperParameters()
    hp.values = {"n_layers": 2, "units 0": 8, "units 1": 12, "activation": "tanh", "learning_rate": 0.05}
    reference = build(hp)
    actual = from_build(build)(n_layers=2, units_0=8, units_1=12, activation="tanh", learning_rate=0.05)
    assert [weight.shape for weight in actual.weights] == [weight.shape for weight in reference.weights]
    assert [one.activation for one in actual.layers] == [one.activation for one in reference.layers]
    assert float(actual.optimizer.learning_rate) == float(reference.optimizer.learning_rate)
    assert len(from_build(build)(n_layers=2, dropout=True, rate=0.3).layers) == 4


def test_its_hyperparameters_are_an_estimators_parameters() -> None:
    model = from_build(build)
    estimator = KerasClassifier(model, n_layers=2, units_1=8, epochs=1, random_state=0)
    assert estimator.get_params()["units_0"] == 4
    fitted = clone(estimator).set_params(learning_rate=0.1).fit(X, CLASSES)
    assert [tuple(weight.shape) for weight in fitted.model_.weights[::2]] == [(4, 4), (4, 8), (8, 1)]
    assert float(fitted.model_.optimizer.learning_rate) == np.float32(0.1)
    with pytest.raises(ValueError, match="Invalid parameter 'units 0' .* model build takes .*units_0"):
        estimator.set_params(**{"units 0": 3})
    assert repr(estimator).startswith("KerasClassifier(build, n_layers=2, units_1=8")


def test_its_space_is_searched_and_its_candidates_train_together() -> None:
    model = from_build(build)
    estimator = KerasClassifier(model, epochs=2, random_state=0)
    space = {**model.space, "n_layers": [2], "dropout": [False]}
    search = RandomizedSearchCV(estimator, space, n_iter=6, cv=2, random_state=0).fit(X, CLASSES)
    assert search.plan_.alone == ()
    assert sum(len(group.fits) for group in search.plan_.groups) == 12
    best = search.best_params_
    own = KerasClassifier(model, epochs=2, random_state=0, **best).fit(X, CLASSES)
    np.testing.assert_allclose(search.predict_proba(X), own.predict_proba(X), rtol=1e-4, atol=1e-5)
    with_hyperparameters = OracleSearchCV(
        KerasClassifier(from_build(scoped)),
        from_build(scoped).hyperparameters,
        n_trials=4,
        cv=2,
        random_state=0,
    ).fit(X, CLASSES)
    assert {"optimizer"} <= set(with_hyperparameters.best_params_) <= {"optimizer", "momentum"}


def test_conditional_scopes_are_several_spaces() -> None:
    model = from_build(scoped)
    assert model.space == [
        {"optimizer": ["sgd"], "momentum": pytest.approx([0.5, 0.7, 0.9])},
        {"optimizer": ["adam"]},
    ]
    grid = GridSearchCV(KerasClassifier(model, epochs=1), model.space, cv=2).fit(X, CLASSES)
    assert [params.get("momentum") for params in grid.cv_results_["params"]] == pytest.approx(
        [0.5, 0.7, 0.9, None]
    )
    assert isinstance(model(optimizer="adam").optimizer, keras.optimizers.Adam)
    assert model(optimizer="sgd", momentum=0.7).optimizer.momentum == pytest.approx(0.7)


class Hyper(keras_tuner.HyperModel):
    def build(self, hp: Any) -> Any:
        return compiled([keras.layers.Dense(hp.Int("units", 4, 8), "relu")])


def test_a_hypermodel_is_its_build_function() -> None:
    model = from_build(Hyper())
    fitted = KerasClassifier(model, units=6, epochs=1).fit(X, CLASSES)
    assert fitted.model_.layers[0].units == 6
    hypermodel = MLPHyperModel({"l2": [0.0, 0.1]}, input_shape=(4,))
    with pytest.raises(TypeError, match=r"overrides fit.* Pass MLPHyperModel\(...\).build"):
        from_build(hypermodel)
    regressor = KerasRegressor(from_build(hypermodel.build), l2=0.1, epochs=1).fit(X, X[:, 0])
    assert regressor.model_.layers[0].kernel_regularizer.l2 == 0.1


def test_copies_pickles_and_journals_know_it(tmp_path: Path) -> None:
    model = from_build(build)
    assert clone(KerasClassifier(model)).model is model
    again = pickle.loads(pickle.dumps(model))
    assert inspect.signature(again) == inspect.signature(model)
    assert again.space.keys() == model.space.keys()
    fitted = KerasClassifier(model, epochs=1, random_state=0).fit(X, CLASSES)
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    first, later = [
        GridSearchCV(
            KerasClassifier(from_build(build), random_state=0), {"units_0": [4, 8]}, cv=2, journal=tmp_path
        ).fit(X, CLASSES)
        for _ in range(2)
    ]
    assert list(first.cv_results_["mean_fit_time"]) == list(later.cv_results_["mean_fit_time"])


def test_finding_them_changes_no_random_state() -> None:
    keras.utils.set_random_seed(3)
    expected = np.random.uniform(), keras.random.uniform((1,)).numpy()
    keras.utils.set_random_seed(3)
    from_build(build)
    assert (np.random.uniform(), keras.random.uniform((1,)).numpy()) == expected


def test_an_estimator_names_the_adapter() -> None:
    message = (
        r"build takes keras-tuner's hp: pass from_build\(build\), with from_build imported from kerashp.integ"
    )
    for estimator in (KerasClassifier(build), KerasRegressor(build)):
        with pytest.raises(
            TypeError, match=f"{type(estimator).__name__} calls its model function .*{message}"
        ):
            estimator.fit(X, CLASSES)
    with pytest.raises(
        TypeError, match=f"Invalid parameter 'units' for estimator KerasClassifier: {message}"
    ):
        KerasClassifier(build, units=3)
    with pytest.raises(ValueError, match=message):
        RandomizedSearchCV(KerasClassifier(build), {"units_0": [3]}, n_iter=1, cv=2).fit(X, CLASSES)
    with pytest.raises(TypeError, match=r"pass from_build\(<.*Hyper object"):
        KerasClassifier(Hyper()).fit(X, CLASSES)
    arguments = keras_tuner.HyperParameters()
    assert KerasClassifier(build, hp=arguments, epochs=1).fit(X, CLASSES).model_.layers[0].units == 4


def two_of_one_name(hp: Any) -> Any:
    hp.Int("a b", 1, 2)
    hp.Int("a_b", 1, 2)
    return compiled([])


def a_keyword(hp: Any) -> Any:
    hp.Float("lambda", 0.0, 1.0)
    return compiled([])


def too_many(hp: Any) -> Any:
    for index in range(30):
        hp.Choice(f"p{index}", list(range(10)))
    return compiled([])


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (two_of_one_name, ValueError, "'a_b' and 'a b' would both be the parameter 'a_b'"),
        (a_keyword, ValueError, "'lambda' cannot be the name of a parameter; rename the hyperparameter"),
        (
            too_many,
            ValueError,
            "finding them takes more than 200 models. Reduce the values",
        ),
        (3, TypeError, "build must be a function that takes keras-tuner's hp .*; got 3"),
    ],
)
def test_what_is_no_build_function(function: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"from_build: .*{message}"):
        from_build(function)


def hidden(hp: Any) -> Any:
    rate = hp.Float("rate", 0.0, 1.0)
    return compiled([keras.layers.Dense(hp.Int("units", 1, 5))] if 0.4 < rate < 0.6 else [])


def test_what_was_not_found_is_not_taken_for_its_default() -> None:
    model = from_build(hidden)
    with pytest.raises(ValueError, match="hidden uses 'units' with .*0.5.*, which from_build did not"):
        model(rate=0.5)
    with pytest.raises(TypeError, match="hidden has no hyperparameter 'units'; there are 'rate'"):
        model(units=3)
    with pytest.raises(TypeError, match="has no hyperparameter 'a'; there are none"):
        from_build(lambda hp: compiled([hp.values] * 0))(a=1)
