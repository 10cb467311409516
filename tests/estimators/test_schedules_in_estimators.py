"""Learning rates that move, in the estimators and in searches."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from sklearn import model_selection as theirs

from kerashp import KerasClassifier, KerasMLPRegressor, KerasRegressor, fit
from kerashp.callbacks import CosineRestarts, StepDrop
from kerashp.model_selection import GridSearchCV, HalvingGridSearchCV
from kerashp.training import LearningRateCallback

X = np.random.default_rng(0).normal(size=(70, 3)).astype("float32")
Y = X[:, 0] - X[:, 1] ** 2


def build(n_neurons: int = 4, learning_rate: float = 0.05) -> Any:
    layers = [keras.layers.Dense(n_neurons, "relu"), keras.layers.Dense(1)]
    own = keras.Sequential([keras.Input((3,)), *layers])
    own.compile(keras.optimizers.SGD(learning_rate), "mse")
    return own


def mlp(**params: Any) -> KerasMLPRegressor:
    given = {"n_neurons": 4, "learning_rate": 0.02, "epochs": 6, "batch_size": 16, "random_state": 0}
    return KerasMLPRegressor(**(given | params))


EXPECTED: dict[str, Callable[[float], float]] = {  # from the share of the epochs after the warm-up
    "constant": lambda _: 1.0,
    "cosine": lambda share: (1 + np.cos(np.pi * share)) / 2,
    "cosine_restarts": lambda share: (
        (
            1
            + np.cos(
                np.pi
                * (
                    7 * share
                    if share < 1 / 7
                    else (7 * share - 1) / 2
                    if share < 3 / 7
                    else (7 * share - 3) / 4
                )
            )
        )
        / 2
    ),
    "flat_cosine": lambda share: 1.0 if share < 0.5 else (1 + np.cos(np.pi * (2 * share - 1))) / 2,
    "coslog4": lambda share: (1 - np.cos(2 * np.pi * np.log2(1 + 15 * share))) / 2,
    "step": lambda share: 0.1 ** np.floor(3 * share),
    "exponential": lambda share: 0.1 ** (2 * share),
}


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("warmup_epochs", [0, 2])
def test_an_estimator_trains_by_the_schedule_that_it_is_told(
    name: str, warmup_epochs: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def watched(*arguments: Any, callbacks: list[Any], **options: Any) -> Any:
        seen.extend(callbacks)
        return fit(*arguments, callbacks=callbacks, **options)

    monkeypatch.setattr("kerashp.estimators._base.fit", watched)
    if name == "coslog4" and warmup_epochs:
        with pytest.raises(ValueError, match="warmup_epochs=2.0 must be 0 with schedule='coslog4'"):
            mlp(schedule=name, warmup_epochs=warmup_epochs).fit(X, Y)
        return
    estimator = mlp(schedule=name, warmup_epochs=warmup_epochs).fit(X, Y)
    if name == "constant" and not warmup_epochs:
        assert not any(isinstance(callback, LearningRateCallback) for callback in seen)
        return
    schedule = seen[0].schedule(0.02, 10)
    n_steps = 10 * (6 - warmup_epochs)
    for step in range(60):
        after = step - 10 * warmup_epochs
        expected = 0.02 * (step / (10 * warmup_epochs) if after < 0 else EXPECTED[name](after / n_steps))
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-4, abs=2e-8), step
    plain = mlp().fit(X, Y)
    assert np.abs(estimator.predict(X) - plain.predict(X)).max() > 1e-4


def test_any_model_is_trained_by_a_schedule() -> None:
    regressor = KerasRegressor(build, epochs=4, batch_size=16, random_state=0)
    by_name = regressor.set_params(schedule="cosine", warmup_epochs=1).fit(X, Y).predict(X)
    by_callback = KerasRegressor(
        build, epochs=4, batch_size=16, random_state=0, callbacks=[CosineRestarts(3, warmup_epochs=1)]
    )
    np.testing.assert_allclose(by_callback.fit(X, Y).predict(X), by_name, atol=1e-5)


def test_schedules_are_searched_in_one_group() -> None:
    rates = {"learning_rate": [0.01, 0.05]}
    space = [
        {"schedule": ["constant", "cosine", "step"], "warmup_epochs": [0, 1], **rates},
        {"schedule": ["flat_cosine", "coslog4"], **rates},
    ]
    search = GridSearchCV(mlp(epochs=4), space, cv=2, refit=False).fit(X, Y)
    expected = theirs.GridSearchCV(mlp(epochs=4), space, cv=2, refit=False).fit(X, Y)
    assert len(search.plan_.groups) == 1
    assert search.plan_.alone == ()
    for split in range(2):
        name = f"split{split}_test_score"
        np.testing.assert_allclose(search.cv_results_[name], expected.cv_results_[name], atol=1e-4)
    assert len({round(score, 5) for score in search.cv_results_["mean_test_score"]}) == 16


def test_callbacks_with_schedules_are_searched_in_one_group() -> None:
    space = {"callbacks": [None, [StepDrop(0.5, 1)], [CosineRestarts(2)]], "learning_rate": [0.01, 0.05]}
    search = GridSearchCV(mlp(epochs=4), space, cv=2, refit=False).fit(X, Y)
    expected = theirs.GridSearchCV(mlp(epochs=4), space, cv=2, refit=False).fit(X, Y)
    assert [len(group.fits) for group in search.plan_.groups] == [12]
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], atol=1e-4
    )


def test_partial_fits_go_on_along_the_schedule() -> None:
    options = {"epochs": 3, "schedule": "step", "shuffle": False}
    at_once, by_epochs = mlp(**options).fit(X, Y), mlp(**options)
    for _ in range(3):
        by_epochs.partial_fit(X, Y)
    np.testing.assert_allclose(by_epochs.history_["loss"], at_once.history_["loss"], rtol=1e-4)


def test_a_refit_for_the_epochs_of_the_splits_follows_the_same_schedule() -> None:
    estimator = mlp(schedule="cosine", early_stopping=True, patience=1, epochs=30, learning_rate=0.1)
    search = GridSearchCV(estimator, {"n_neurons": [4]}, cv=2, refit_epochs="cv").fit(X, Y)
    n_epochs = len(search.best_estimator_.history_["loss"])
    assert n_epochs < 30
    plain = mlp(schedule="cosine", epochs=30, learning_rate=0.1).fit(X, Y)
    np.testing.assert_allclose(
        plain.history_["loss"][:n_epochs], search.best_estimator_.history_["loss"], rtol=1e-4
    )


REGULARIZATION = {"dropout_schedule": "coslog4", "weight_decay_schedule": "flat_cosine"}


def test_schedules_of_dropout_and_weight_decay_are_searched_in_one_group() -> None:
    estimator = mlp(epochs=4, optimizer="adamw", weight_decay=1.0, dropout=0.4)
    space = [
        {"dropout_schedule": ["constant", "flat_cosine"], "weight_decay_schedule": ["constant", "coslog4"]},
        {"dropout": [0.0, 0.2], "weight_decay": [None, 0.5], **{k: [v] for k, v in REGULARIZATION.items()}},
    ]
    search = GridSearchCV(estimator, space, cv=2, refit=False).fit(X, Y)
    expected = theirs.GridSearchCV(estimator, space, cv=2, refit=False).fit(X, Y)
    assert [len(group.fits) for group in search.plan_.groups] == [16]
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores, expected.cv_results_["mean_test_score"], atol=1e-4)
    assert len({round(score, 6) for score in scores}) == 8


def test_halving_stretches_them_over_the_most_epochs() -> None:
    estimator = mlp(optimizer="adamw", weight_decay=1.0, dropout=0.4, epochs=8, tol=None, **REGULARIZATION)
    search = HalvingGridSearchCV(
        estimator, {"n_neurons": [3, 4, 5, 6]}, cv=2, resource="epochs", min_resources=2, max_resources=8
    ).fit(X, Y)
    best = search.best_index_
    n_epochs = search.cv_results_["n_resources"][best]
    train, _ = next(theirs.KFold(2).split(X))
    alone = estimator.set_params(**search.best_params_ | {"epochs": 8}).fit(X[train], Y[train])
    np.testing.assert_allclose(
        search.histories_[best][0]["loss"], alone.history_["loss"][:n_epochs], rtol=1e-4
    )


def test_partial_fits_go_on_along_their_schedules() -> None:
    options = {"epochs": 3, "shuffle": False, "optimizer": "adamw", "weight_decay": 3.0, **REGULARIZATION}
    at_once, by_epochs = mlp(**options).fit(X, Y), mlp(**options)
    for _ in range(3):
        by_epochs.partial_fit(X, Y)
    np.testing.assert_allclose(by_epochs.history_["loss"], at_once.history_["loss"], rtol=1e-4)


def test_their_schedules_are_checked() -> None:
    for name in REGULARIZATION:
        with pytest.raises(ValueError, match=f"'{name}' parameter of KerasMLPRegressor must be a str among"):
            mlp(**{name: "linear"}).fit(X, Y)


def test_an_estimators_schedule_is_checked() -> None:
    with pytest.raises(ValueError, match="'schedule' parameter of KerasMLPRegressor must be a str among"):
        mlp(schedule="cosin").fit(X, Y)
    with pytest.raises(ValueError, match="warmup_epochs=6 must be less than epochs=6"):
        mlp(warmup_epochs=6).fit(X, Y)
    with pytest.raises(
        ValueError, match="StepDrop and schedule='cosine', warmup_epochs=0.0 all set the learning"
    ):
        mlp(schedule="cosine", callbacks=[StepDrop()]).fit(X, Y)
    own = keras.optimizers.schedules.CosineDecay(0.1, 10)
    with pytest.raises(
        ValueError, match="schedule='step', warmup_epochs=0.0 sets the .* is a CosineDecay; compile"
    ):
        mlp(schedule="step", learning_rate=own).fit(X, Y)


def test_a_classifier_warms_up() -> None:
    labels = (Y > 0).astype(int)

    def classifier() -> Any:
        own = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
        own.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
        return own

    fitted = KerasClassifier(classifier, epochs=20, warmup_epochs=2, random_state=0).fit(X, labels)
    assert fitted.score(X, labels) > 0.6
    assert float(fitted.model_.optimizer.learning_rate) == 0.5
