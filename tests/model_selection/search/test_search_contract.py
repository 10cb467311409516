"""A search's score is that of the model which the same fit gives, whatever the optimizer does in the end.

The splitter tests on the rows that it trains on, so `split0_test_score` is what a fit on all rows scores.
"""

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.base import clone

from kerashp import KerasMLPClassifier, KerasRegressor
from kerashp._compat.keras_optimizers import optimizers_of_optimizers
from kerashp.model_selection import GridSearchCV, HalvingGridSearchCV, KerasEnsembleRegressor
from kerashp.training import Member, Population

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 3)).astype("float32")
Y = (X[:, 0] - X[:, 1] ** 2).astype("float32")
VALIDATION = (X[::-1][:20] + 0.5, np.sin(9 * X[:20, 2]))  # on which the loss rises early


class Shrinking(keras.optimizers.SGD):
    """An optimizer of the user's own that ends with other weights than it trained."""

    def finalize_variable_values(self, var_list: Any) -> None:
        super().finalize_variable_values(var_list)
        for variable in var_list:
            variable.assign(variable * 0.5)


class SameRows:
    """One split, whose test rows are its training rows."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        yield np.arange(len(X)), np.arange(len(X))

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        return 1


def of_keras() -> list[type]:
    classes = [value for value in vars(keras.optimizers).values() if isinstance(value, type)]
    wrappers = (keras.optimizers.LossScaleOptimizer, *optimizers_of_optimizers())
    return [
        own
        for own in classes
        if issubclass(own, keras.optimizers.Optimizer) and own not in (keras.optimizers.Optimizer, *wrappers)
    ]


OPTIMIZERS = {own.__name__: own for own in [*of_keras(), Shrinking]}
AVERAGE = {"optimizer__use_ema": [True], "optimizer__ema_momentum": [0.9]}
SPACE = [{"early_stopping": [True]}, {"early_stopping": [False, True], **AVERAGE}]
OVERWRITING = [{"optimizer__ema_overwrite_frequency": [4], **AVERAGE}]
CASES = [*[(name, SPACE) for name in OPTIMIZERS], ("SGD", OVERWRITING), ("Shrinking", [{}])]


def network() -> Any:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(6, "tanh"), keras.layers.Dense(1)])


def regressor(optimizer: Any, **params: Any) -> KerasRegressor:
    arguments = {
        "epochs": 5,
        "batch_size": 16,
        "patience": 1,
        "random_state": 0,
        "optimizer__learning_rate": 0.05,
    }
    return KerasRegressor(network, loss="mse", optimizer=optimizer, **(arguments | params))


def mean_squared_error(estimator: Any) -> float:
    return float(np.mean((estimator.predict(X) - Y) ** 2))


# On TensorFlow, ScheduleFreeAdamW trains by `Model.fit`.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*ScheduleFreeAdamW gives other numbers:kerashp.training.FallbackWarning")
@pytest.mark.parametrize(("name", "space"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_score_is_that_of_the_same_fit(name: str, space: list[dict[str, Any]]) -> None:
    estimator = regressor(OPTIMIZERS[name])
    search = GridSearchCV(estimator, space, cv=SameRows(), scoring="neg_mean_squared_error", refit=False)
    search.set_params(error_score="raise").fit(X, Y, validation_data=VALIDATION)
    for params, score in zip(
        search.cv_results_["params"], search.cv_results_["split0_test_score"], strict=True
    ):
        alone = clone(estimator).set_params(**params).fit(X, Y, validation_data=VALIDATION)
        assert score == pytest.approx(-mean_squared_error(alone), rel=1e-4), params


def test_validation_losses_are_those_of_the_same_fit() -> None:
    labels = (Y > 0.5).astype(int)
    classifier = KerasMLPClassifier(1, 4, epochs=3, class_weight={0: 1.0, 1: 100.0}, random_state=0)
    search = GridSearchCV(classifier, {"learning_rate": [0.1, 0.01]}, cv=SameRows(), refit=False)
    search.fit(X, labels, validation_split=0.25)
    for rate, (curves,) in zip((0.1, 0.01), search.histories_, strict=True):
        alone = clone(classifier).set_params(learning_rate=rate).fit(X, labels, validation_split=0.25)
        np.testing.assert_allclose(curves["val_loss"], alone.history_["val_loss"], rtol=1e-4)
        unweighted = alone.model_.evaluate(X[36:], labels[36:], verbose=0)
        assert curves["val_loss"][-1] == pytest.approx(unweighted, rel=1e-4)


def averaging(**params: Any) -> KerasRegressor:
    """Its averages are far from its weights."""
    return regressor("sgd", optimizer__use_ema=True, optimizer__ema_momentum=0.97, **params)


@pytest.mark.slow
def test_survivors_of_halving_have_the_scores_of_the_same_fit() -> None:
    rates = {"optimizer__learning_rate": [0.2, 0.05, 0.01, 0.002]}
    search = HalvingGridSearchCV(
        averaging(), rates, cv=SameRows(), scoring="neg_mean_squared_error", factor=2, min_resources=2
    )
    search.set_params(max_resources=8).fit(X, Y)
    results = search.cv_results_
    assert sorted(results["n_resources"]) == [2, 2, 2, 2, 4, 4, 8]
    assert search.epochs_saved_ == 2 * 2 + 4
    alone = [-mean_squared_error(averaging(**params).fit(X, Y)) for params in results["params"]]
    np.testing.assert_allclose(results["split0_test_score"], alone, rtol=1e-4)
    survivors = {params["optimizer__learning_rate"] for params in results["params"][4:6]}
    ranked = sorted(range(4), key=lambda candidate: -alone[candidate])
    assert survivors == {results["params"][candidate]["optimizer__learning_rate"] for candidate in ranked[:2]}


def test_an_ensemble_has_the_predictions_of_its_members() -> None:
    rates = {"optimizer__learning_rate": [0.2, 0.05]}
    search = GridSearchCV(averaging(), rates, cv=SameRows(), scoring="neg_mean_squared_error").fit(X, Y)
    ensemble = search.ensemble(1)
    assert ensemble.selection_scores_[0] == pytest.approx(search.best_score_, rel=1e-4)
    np.testing.assert_allclose(ensemble.predict(X), search.best_estimator_.predict(X), rtol=1e-4, atol=1e-5)
    both = KerasEnsembleRegressor(averaging(), [{name: rate} for name in rates for rate in rates[name]])
    alone = [averaging(optimizer__learning_rate=rate).fit(X, Y) for rate in (0.2, 0.05)]
    expected = np.mean([member.predict(X) for member in alone], axis=0)
    np.testing.assert_allclose(both.fit(X, Y).predict(X), expected, rtol=1e-4, atol=1e-5)


def test_members_predict_as_the_models_that_they_are_written_to() -> None:
    stopping = keras.callbacks.EarlyStopping("loss", mode="max", patience=9, restore_best_weights=True)
    members = []
    for options in ({}, {"early_stopping": stopping}):
        keras.utils.set_random_seed(0)
        model = network()
        model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.95), "mse")
        members.append(Member(model, random_state=0, **options))
    population = Population(members, X, Y, batch_size=16)
    population.train(2)
    paused = population.paused(0).values[0]
    predicted = population.predict(X, [0, 1])
    written = [population.write(member) for member in (0, 1)]
    np.testing.assert_allclose(predicted, [model.predict(X, verbose=0) for model in written], atol=1e-5)
    raw, average = paused[0], written[0].trainable_variables[0].numpy()
    assert np.abs(raw - average).max() > 1e-3  # a pause keeps what training goes on from
    np.testing.assert_allclose(population.state(0).weights[0], average)


class Wrong(keras.optimizers.SGD):
    """Ends with what only its own variables can do."""

    def finalize_variable_values(self, var_list: Any) -> None:
        for variable in var_list:
            variable.value.assign_sub(variable.value)


def test_an_optimizer_whose_end_is_not_known_trains_by_itself() -> None:
    keras.utils.set_random_seed(0)
    model = network()
    model.compile(Wrong(0.1), "mse")
    with pytest.raises(RuntimeError, match="Population: this training cannot be compiled"):
        Population([Member(model)], X, Y)
