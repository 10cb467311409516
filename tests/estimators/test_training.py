"""How the estimators train: early stopping, callbacks, what one call of fit says, weights, going on."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.class_weight import compute_sample_weight

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, KerasRegressor
from kerashp.callbacks import ModelCheckpoint
from kerashp.estimators import _base
from kerashp.estimators._perceptron import equal_batch_size
from kerashp.model_selection import GridSearchCV as OurGridSearchCV
from kerashp.training import FallbackWarning, fit


def _spy(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each call of kerashp.fit gets from the estimators from here on."""
    calls: list[dict[str, Any]] = []

    def recorded(model: keras.Model, x: Any, y: Any, **arguments: Any) -> Any:
        calls.append({"x": x, "y": y, **arguments})
        return fit(model, x, y, **arguments)

    monkeypatch.setattr(_base, "fit", recorded)
    return calls


# Early stopping.


def test_early_stopping_restores_the_best_epoch(diabetes) -> None:
    X, y = diabetes
    fitted = KerasMLPRegressor(
        n_neurons=64, learning_rate=0.05, epochs=60, l2=0.0, early_stopping=True, patience=3, random_state=0
    ).fit(X, y, validation_data=(X[:100], -y[:100]))  # validation gets worse as training goes well
    curve = fitted.history_["val_loss"]
    assert fitted.best_epoch_ == int(np.argmin(curve))
    assert len(curve) == fitted.best_epoch_ + 1 + 3 < 60
    assert fitted.stopped_early_
    restored = np.mean((fitted.predict(X[:100]) + y[:100]) ** 2) / np.var(y)
    assert restored == pytest.approx(curve[fitted.best_epoch_], rel=1e-4)


@pytest.mark.parametrize("patience", [None, 2])
def test_without_patience_all_epochs_are_trained_and_the_best_is_restored(
    diabetes, patience: int | None
) -> None:
    X, y = diabetes
    estimator = KerasMLPRegressor(n_neurons=16, learning_rate=0.05, epochs=9, l2=0.0, random_state=0)
    fitted = estimator.set_params(early_stopping=True, patience=patience).fit(
        X, y, validation_data=(X[:100], -y[:100])
    )
    curve = fitted.history_["val_loss"]
    assert (len(curve) == 9) == (patience is None) != fitted.stopped_early_
    assert fitted.best_epoch_ == int(np.argmin(curve)) < 6
    restored = np.mean((fitted.predict(X[:100]) + y[:100]) ** 2) / np.var(y)
    assert restored == pytest.approx(curve[fitted.best_epoch_], rel=1e-4)


def test_without_restoring_the_last_weights_stay(diabetes) -> None:
    X, y = diabetes
    fitted = KerasMLPRegressor(
        n_neurons=64, learning_rate=0.05, epochs=30, l2=0.0, early_stopping=True, patience=3, random_state=0,
        restore_best_weights=False,
    ).fit(X, y, validation_data=(X[:100], -y[:100]))  # fmt: skip
    last = np.mean((fitted.predict(X[:100]) + y[:100]) ** 2) / np.var(y)
    assert last == pytest.approx(fitted.history_["val_loss"][-1], rel=1e-4)
    assert fitted.best_epoch_ < len(fitted.history_["val_loss"]) - 1


def test_min_delta_decides_what_counts_as_better(diabetes) -> None:
    X, y = diabetes
    estimator = KerasMLPRegressor(
        learning_rate=1e-4, epochs=12, early_stopping=True, patience=2, min_delta=10.0, random_state=0
    )
    assert len(estimator.fit(X, y).history_["loss"]) == 3


@pytest.mark.parametrize("estimator", [KerasMLPClassifier(), KerasClassifier()], ids=["mlp", "wrapped"])
def test_the_held_out_part_is_stratified_and_disjoint(monkeypatch, estimator: BaseEstimator) -> None:
    calls = _spy(monkeypatch)
    X = np.arange(100.0)[:, None]
    y = np.r_[np.zeros(80), np.ones(20)]
    estimator = clone(estimator).set_params(
        early_stopping=True, validation_fraction=0.2, epochs=2, random_state=0
    )
    estimator.fit(X, y)
    X_valid, y_valid = calls[0]["validation_data"]
    assert y_valid.sum() == 4
    assert len(y_valid) == 20
    assert sorted([*calls[0]["x"].ravel(), *X_valid.ravel()]) == list(range(100))


def test_validation_data_hold_nothing_out(monkeypatch, diabetes) -> None:
    calls = _spy(monkeypatch)
    X, y = diabetes
    weights = np.linspace(1, 2, 50)
    KerasMLPRegressor(epochs=1, early_stopping=True).fit(X, y, validation_data=(X[:50], y[:50], weights))
    assert len(calls[0]["x"]) == len(X)
    np.testing.assert_allclose(calls[0]["validation_data"][2], weights, rtol=1e-6)


def test_early_stopping_never_sees_the_fold_that_scores(monkeypatch, diabetes) -> None:
    calls = _spy(monkeypatch)
    X, y = diabetes
    X = np.c_[X, np.arange(len(X))]  # the row's number tells where it went
    scored: list[set[float]] = []

    def scorer(estimator: BaseEstimator, X: np.ndarray, y: np.ndarray) -> float:
        scored.append(set(X[:, -1]))
        return estimator.score(X, y)

    estimator = KerasMLPRegressor(epochs=1, early_stopping=True, random_state=0)
    cross_val_score(estimator, X, y, cv=3, scoring=scorer)
    assert len(calls) == len(scored) == 3
    for call, fold in zip(calls, scored, strict=True):
        seen = set(call["x"][:, -1]) | set(call["validation_data"][0][:, -1])
        assert seen | fold == set(range(len(X)))
        assert not seen & fold


def test_best_epoch_without_validation_is_that_of_the_least_loss(diabetes) -> None:
    fitted = KerasMLPRegressor(epochs=4, random_state=0, learning_rate=0.01).fit(*diabetes)
    assert set(fitted.history_) == {"loss"}
    assert fitted.best_epoch_ == int(np.argmin(fitted.history_["loss"]))
    assert not fitted.stopped_early_


def test_a_diverged_run_says_so_and_keeps_its_curves(diabetes) -> None:
    X, y = diabetes
    estimator = KerasMLPRegressor(
        optimizer="sgd", learning_rate=1e4, batch_size=len(X), epochs=12, random_state=0
    )
    with pytest.raises(
        ValueError, match=r"diverged: the loss is (inf|nan) from epoch \d+ on .*learning rate, scale X"
    ):
        estimator.fit(X, y)
    losses = np.asarray(estimator.history_["loss"])
    assert not np.isfinite(losses).all()
    assert np.isfinite(losses[estimator.best_epoch_])
    assert not estimator.stopped_early_


def test_early_stopping_brings_a_diverged_run_back(diabetes) -> None:
    X, y = diabetes
    estimator = KerasMLPRegressor(
        optimizer="sgd", learning_rate=1e4, batch_size=len(X), epochs=12, random_state=0, early_stopping=True
    ).fit(X, y)
    assert not np.isfinite(estimator.history_["loss"]).all()
    assert np.isfinite(estimator.predict(X)).all()


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_a_diverged_candidate_scores_error_score(diabetes) -> None:
    grid = {"learning_rate": [1e-2, 1e4]}
    estimator = KerasMLPRegressor(optimizer="sgd", epochs=12, random_state=0)
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 4"):
        search = GridSearchCV(estimator, grid, cv=2).fit(*diabetes)
    assert np.isfinite(search.cv_results_["mean_test_score"][0])
    assert np.isnan(search.cv_results_["mean_test_score"][1])
    assert search.best_params_ == {"learning_rate": 1e-2}


def test_outputs_that_overflow_are_an_error(diabetes) -> None:
    fitted = KerasMLPRegressor(epochs=1, random_state=0).fit(*diabetes)
    with pytest.raises(ValueError, match="outputs are not finite for 1 of 2 rows.*Scale X"):
        fitted.predict([np.full(10, 3e38), np.zeros(10)])


# Callbacks.


class _Counter(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.epochs = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs += 1
        _SEEN.append((id(self), self.epochs))


_SEEN: list[tuple[int, int]] = []


@pytest.mark.parametrize("where", ["constructor", "call"])
def test_callbacks_are_copied_for_each_fit(diabetes, where: str) -> None:
    _SEEN.clear()
    counter = _Counter()
    estimator = KerasMLPRegressor(epochs=2, callbacks=[counter] if where == "constructor" else None)
    call = {"callbacks": [counter]} if where == "call" else {}
    for _ in range(2):
        estimator.fit(*diabetes, **call)
    assert [epochs for _, epochs in _SEEN] == [1, 2, 1, 2]
    assert counter.epochs == 0
    assert id(counter) not in {identity for identity, _ in _SEEN}


def test_callbacks_of_the_call_come_besides_the_estimators(diabetes) -> None:
    _SEEN.clear()
    KerasMLPRegressor(epochs=1, callbacks=[_Counter()]).fit(*diabetes, callbacks=_Counter())
    assert len({identity for identity, _ in _SEEN}) == 2


def test_a_callback_in_the_constructor_is_used_by_scikeras_routing(diabetes) -> None:
    estimator = KerasRegressor(
        epochs=20,
        callbacks=keras.callbacks.EarlyStopping,
        callbacks__monitor="loss",
        callbacks__patience=0,
        callbacks__min_delta=1e9,
    )
    assert len(estimator.fit(*diabetes).history_["loss"]) == 2


def test_a_checkpoint_of_every_epoch_needs_no_validation_data(diabetes, tmp_path: Path) -> None:
    checkpoint = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.keras"))
    KerasMLPRegressor(epochs=2, normalize_target=False, callbacks=[checkpoint]).fit(*diabetes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.keras", "2.keras"]


class Derived(keras.callbacks.Callback):
    """Adds a log that it computes on rows of its own."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["val_own"] = self.values[epoch]


class DerivedStopping(keras.callbacks.EarlyStopping):
    """Adds the log that it looks at."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs | {"val_own": [3.0, 1.0, 2.0, 4.0, 5.0][epoch]})


def derived_logs(kind: str) -> list[keras.callbacks.Callback]:
    values = [3.0, 1.0, 2.0, 4.0, 5.0]
    stopping = keras.callbacks.EarlyStopping("val_own", mode="min", patience=1)
    if kind == "function":
        add = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: logs.update(val_own=values[epoch])
        )
        return [add, stopping]
    return {
        "callback": [Derived(values), stopping],
        "itself": [DerivedStopping("val_own", mode="min", patience=1)],
    }[kind]


@pytest.mark.parametrize("kind", ["callback", "function", "itself"])
def test_early_stopping_looks_at_logs_that_a_callback_derives(diabetes, kind: str) -> None:
    X, y = diabetes
    for regressor in (KerasMLPRegressor(epochs=5), KerasRegressor(epochs=5)):
        regressor.fit(X, y, callbacks=derived_logs(kind))
        assert len(regressor.history_["loss"]) == 3
        assert regressor.stopped_early_
        if kind != "itself":
            assert regressor.history_["val_own"] == [3.0, 1.0, 2.0]
            assert regressor.best_epoch_ == 1
    reference = regressor.model_
    history = reference.fit(X, y, epochs=5, verbose=0, callbacks=derived_logs(kind)).history
    assert len(history["loss"]) == 3


def test_a_derived_log_must_come_before_whoever_looks_at_it(diabetes, tmp_path: Path) -> None:
    derived, stopping = derived_logs("callback")
    with pytest.raises(
        ValueError, match="'val_own', but this fit has no validation data, and no earlier callback"
    ):
        KerasMLPRegressor(epochs=2).fit(*diabetes, callbacks=[stopping, derived])
    checkpoint = ModelCheckpoint(tmp_path / "best.keras", monitor="val_own", mode="min", save_best_only=True)
    KerasMLPRegressor(epochs=3).fit(*diabetes, callbacks=[checkpoint, derived])  # which goes last
    assert (tmp_path / "best.keras").exists()


def test_candidates_with_derived_logs_stop_by_them(diabetes) -> None:
    search = OurGridSearchCV(KerasMLPRegressor(random_state=0), {"epochs": [2, 5]}, cv=2)
    search.fit(*diabetes, callbacks=derived_logs("callback"))
    assert [[len(own["loss"]) for own in curves] for curves in search.histories_] == [[2, 2], [3, 3]]


def test_a_callback_that_fails_leaves_the_fit_before(diabetes) -> None:
    class Failing(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise RuntimeError("the disk is full")

    X, y = diabetes
    fitted = KerasMLPRegressor(epochs=1, random_state=0).fit(X, y)
    before = fitted.predict(X)
    with pytest.raises(RuntimeError, match="the disk is full"):
        fitted.fit(X[:, :3], y, callbacks=[Failing()])
    np.testing.assert_array_equal(fitted.predict(X), before)


# What one call of fit says.


def test_every_argument_of_a_call_reaches_keras(monkeypatch, diabetes) -> None:
    calls = _spy(monkeypatch)
    X, y = diabetes
    said = {
        "epochs": 3,
        "batch_size": 100,
        "verbose": 0,
        "shuffle": False,
        "initial_epoch": 1,
        "steps_per_epoch": 2,
        "validation_steps": 1,
        "validation_batch_size": 20,
        "validation_freq": 2,
    }
    regressor = KerasMLPRegressor(epochs=9, batch_size=7)
    with pytest.warns(FallbackWarning, match="steps_per_epoch=2 limits the batches of an epoch"):
        fitted = regressor.fit(X, y, validation_data=(X[:50], y[:50]), **said)
    assert said.items() <= calls[0].items()
    assert len(fitted.history_["loss"]) == 2
    assert len(fitted.history_["val_loss"]) == 1
    fitted.fit(X, y)
    assert calls[1]["epochs"] == 9
    assert calls[1]["batch_size"] == 7


def test_equal_batches_leave_no_short_one(monkeypatch, diabetes) -> None:
    calls = _spy(monkeypatch)
    X, y = diabetes
    options: dict[str, Any] = {"batch_size": 100, "epochs": 1, "tol": None}
    for equal_batches in (False, True):
        KerasMLPRegressor(equal_batches=equal_batches, **options).fit(X[:230], y[:230])
    KerasMLPRegressor(equal_batches=True, early_stopping=True, **options).fit(X[:200], y[:200])
    assert [call["batch_size"] for call in calls] == [100, 120, 184]  # 2 x 115 and 180 rows, in steps of 8


@pytest.mark.parametrize("batch_size", [32, 256])
def test_sizes_of_equal_batches(batch_size: int) -> None:
    for n_samples in range(1, 20 * batch_size, 7):
        size = equal_batch_size(n_samples, batch_size)
        n_batches = -(-n_samples // size)
        assert n_batches == max(1, n_samples // batch_size)
        assert n_samples - (n_batches - 1) * size > size / 2 - 8


def test_validation_split_holds_out_the_last_rows_as_keras_does(monkeypatch, diabetes) -> None:
    calls = _spy(monkeypatch)
    X, y = diabetes
    fitted = KerasMLPRegressor(epochs=1, normalize_target=False).fit(X, y, validation_split=0.25)
    KerasRegressor(epochs=1, validation_split=0.25).fit(X, y)
    assert "val_loss" in fitted.history_
    for call in calls:
        assert len(call["x"]) == int(442 * 0.75)
        np.testing.assert_allclose(np.r_[call["x"], call["validation_data"][0]], X, rtol=1e-6)
        np.testing.assert_allclose(np.r_[call["y"], call["validation_data"][1]], y, rtol=1e-6)
    with pytest.raises(ValueError, match="not sufficient to split"):
        KerasMLPRegressor(epochs=1).fit(X[:3], y[:3], validation_split=0.9)


def test_the_default_batch_is_scikit_learns(monkeypatch) -> None:
    calls = _spy(monkeypatch)
    rng = np.random.default_rng(0)
    for n in (50, 300):
        KerasMLPRegressor(epochs=1).fit(rng.normal(size=(n, 2)), rng.normal(size=n))
        KerasRegressor(epochs=1, batch_size=-1).fit(rng.normal(size=(n, 2)), rng.normal(size=n))
    assert [call["batch_size"] for call in calls] == [50, 50, 200, 300]


# Weights.


def test_rows_of_weight_zero_are_left_out(monkeypatch, diabetes) -> None:
    calls = _spy(monkeypatch)
    X, y = diabetes
    weights = np.arange(len(X)) % 2
    KerasMLPRegressor(epochs=1).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(calls[0]["x"], X[1::2], rtol=1e-6)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1.0, 1: 4.0}])
def test_class_weight_multiplies_sample_weight(monkeypatch, class_weight: Any) -> None:
    calls = _spy(monkeypatch)
    X, y = np.arange(40.0)[:, None], np.r_[np.zeros(30), np.ones(10)]
    weights = np.linspace(1, 2, 40)
    expected = weights * compute_sample_weight(class_weight, y)
    KerasMLPClassifier(epochs=1, class_weight=class_weight).fit(X, y, sample_weight=weights)
    KerasMLPClassifier(epochs=1).fit(X, y, sample_weight=weights, class_weight=class_weight)
    KerasClassifier(epochs=1, class_weight=class_weight).fit(X, y, weights)
    assert len(calls) == 3
    for call in calls:
        np.testing.assert_allclose(call["sample_weight"], expected, rtol=1e-6)
        assert "class_weight" not in call


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1.0, 1: 400.0}])
@pytest.mark.parametrize("weighted", [False, True])
def test_class_weight_is_for_the_rows_to_train_on(monkeypatch, class_weight: Any, weighted: bool) -> None:
    calls = _spy(monkeypatch)
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(60, 3)), (np.arange(60) % 4 == 0).astype(int)
    y[48:] = np.arange(12) % 2
    weights = rng.uniform(1, 2, size=60) if weighted else np.ones(60)
    given = {"sample_weight": weights} if weighted else {}
    own = {"epochs": 3, "random_state": 0, "class_weight": class_weight}
    # l2="auto" goes by the rows passed to fit.
    estimators = [KerasMLPClassifier(**own, l2=0.0, normalize=False), KerasClassifier(**own, batch_size=-1)]
    for estimator in estimators:
        estimator.fit(X, y, validation_split=0.2, **given)
        told = [weights[48:]] if weighted else []
        alike = clone(estimator).fit(
            X[:48], y[:48], validation_data=(X[48:], y[48:], *told), **{k: v[:48] for k, v in given.items()}
        )
        assert estimator.history_ == alike.history_
        tested = estimator.model_.evaluate(X[48:], y[48:], sample_weight=weights[48:], verbose=0)
        assert estimator.history_["val_loss"][-1] == pytest.approx(np.ravel(tested)[0], rel=1e-5)
    expected = weights[:48] * compute_sample_weight(class_weight, y[:48])
    for call in calls:
        np.testing.assert_allclose(call["sample_weight"], expected, rtol=1e-6)
        assert len(call["validation_data"]) == 2 + weighted


def test_rows_that_validation_split_leaves_need_two_classes() -> None:
    X, y = np.arange(40.0)[:, None], np.r_[np.zeros(20), np.ones(20)]
    with pytest.raises(
        ValueError, match=r"y has 1 class, \[0.0\].*validation_split holds out the last rows: sh"
    ):
        KerasMLPClassifier(epochs=1).fit(X, y, validation_split=0.5)


def test_class_weight_moves_the_border() -> None:
    rng = np.random.RandomState(0)
    X = np.r_[rng.normal(-0.5, 1, (180, 2)), rng.normal(0.5, 1, (20, 2))]
    y = np.r_[np.zeros(180), np.ones(20)]
    shared = {"epochs": 30, "learning_rate": 0.05, "random_state": 0}
    plain = KerasMLPClassifier(**shared).fit(X, y).predict(X).mean()
    balanced = KerasMLPClassifier(**shared, class_weight="balanced").fit(X, y).predict(X).mean()
    assert balanced > plain + 0.1


# Going on.


def test_partial_fit_goes_on_epoch_by_epoch(iris) -> None:
    X, y = iris
    estimator = KerasMLPClassifier(learning_rate=0.05, random_state=0, epochs=50)
    for _ in range(5):
        estimator.partial_fit(X, y)
    assert len(estimator.history_["loss"]) == 5
    assert estimator.history_["loss"][-1] < estimator.history_["loss"][0]
    assert int(estimator.model_.optimizer.iterations.numpy()) == 5


def test_partial_fit_weighs_a_class_that_a_batch_lacks(iris) -> None:
    X, y = iris
    estimator = KerasMLPClassifier(class_weight={1: 5.0}, random_state=0)
    estimator.partial_fit(X[y == 0], y[y == 0], classes=[0, 1, 2]).partial_fit(X[y == 1], y[y == 1])
    assert len(estimator.history_["loss"]) == 2


def test_partial_fit_with_classes_that_come_later(iris) -> None:
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])
    estimator = KerasMLPClassifier(learning_rate=0.1, random_state=0, n_neurons=16)
    for _ in range(20):
        for part in (y == 0, y > 0):
            estimator.partial_fit(X[part], names[y[part]], classes=names[::-1])
    np.testing.assert_array_equal(estimator.classes_, names)
    assert estimator.score(X, names[y]) > 0.6
    assert set(estimator.predict(X)) <= set(names)


def test_warm_start_goes_on_from_the_weights(diabetes) -> None:
    estimator = KerasMLPRegressor(learning_rate=0.001, epochs=4, random_state=0, warm_start=True)
    first = estimator.fit(*diabetes).history_["loss"]
    model = estimator.model_
    second = estimator.fit(*diabetes).history_["loss"]
    assert estimator.model_ is model
    assert len(second) == 4
    assert second[0] < first[-1]
    estimator.set_params(warm_start=False).fit(*diabetes)
    assert estimator.model_ is not model
    assert estimator.history_["loss"] == first


def test_float64_is_float64_throughout(diabetes) -> None:
    fitted = KerasMLPRegressor(epochs=1, dtype="float64", normalize=True, batch_normalization=True).fit(
        *diabetes
    )
    assert {weight.dtype for weight in fitted.model_.weights} <= {"float64", "int64", "int32"}
    assert fitted.model_.loss.dtype == "float64"
    assert keras.config.floatx() == "float32"


def test_normalize_scales_with_the_training_rows() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(1000, 50, size=(100, 3))
    fitted = KerasMLPRegressor(normalize=True, epochs=1).fit(X, X[:, 0])
    inner = fitted.model_.get_layer("normalization")(X.astype("float32"))
    np.testing.assert_allclose(np.asarray(inner).mean(axis=0), 0, atol=1e-2)
    np.testing.assert_allclose(np.asarray(inner).std(axis=0), 1, atol=1e-2)
