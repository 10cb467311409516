"""When a perceptron's training ends by itself (`epochs="auto"`, `tol`), and what it warns of."""

import copy
import inspect
import warnings
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import scale

from kerashp import KerasMLPClassifier, KerasMLPRegressor
from kerashp.callbacks import EarlyStopping
from kerashp.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KerasEnsembleClassifier,
    OracleSearchCV,
)
from kerashp.training._members.convergence import Convergence

IRIS = load_iris(return_X_y=True)
X, Y = scale(IRIS[0]), IRIS[1]
FAST: dict[str, Any] = {"n_neurons": 8, "learning_rate": 0.05, "random_state": 0}
STILL_FALLS = r"the loss still fell, by .* in the last 4 epochs, when training ended at epochs=5\. Pass more"


def said(caught: Any) -> list[str]:
    """The texts of the warnings of this kind; others are Keras'."""
    return [str(one.message) for one in caught if one.category is ConvergenceWarning]


def n_epochs(estimator: Any) -> int:
    return len(estimator.history_["loss"])


def asked(estimator: Any, *arguments: Any, **more: Any) -> int:
    """The epochs that a fit asks for; it ends after the first."""
    estimator = estimator.set_params(callbacks=[_One()])
    return estimator.fit(*arguments, **more).callbacks_[0].params["epochs"]


class _One(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.stop_training = True


def ends_in_scikit_learn(losses: list[float], tol: float, n_iter_no_change: int) -> int | None:
    """After how many epochs scikit-learn's own rule ends a training of these losses."""
    peer = MLPClassifier(tol=tol, n_iter_no_change=n_iter_no_change)
    update = peer._update_no_improvement_count
    held_out = [None] * (len(inspect.signature(update).parameters) - 1)  # since 1.7 with their weights
    peer._no_improvement_count, peer.best_loss_, peer.loss_curve_ = 0, np.inf, []
    for epoch, loss in enumerate(losses, 1):
        peer.loss_curve_.append(loss)
        update(False, *held_out)
        if peer._no_improvement_count > n_iter_no_change:
            return epoch
    return None


@pytest.mark.parametrize("seed", range(20))
def test_the_rule_is_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses = (np.exp(-np.arange(60) / 8) + rng.normal(0, 0.02, 60)).tolist()
    rule = Convergence(tol=0.01, n_iter_no_change=int(rng.integers(1, 8)))
    model = SimpleNamespace(stop_training=False)
    rule.set_model(model)
    rule.on_train_begin()
    ended = None
    for epoch, loss in enumerate(losses, 1):
        rule.on_epoch_end(epoch - 1, {"loss": loss})
        if model.stop_training:
            ended = epoch
            break
    assert ended == ends_in_scikit_learn(losses, rule.tol, rule.n_iter_no_change)
    assert ended is not None


@pytest.mark.parametrize("batch_size", ["auto", 16])
def test_training_ends_where_scikit_learns_rule_ends_it(batch_size: Any) -> None:
    whole = KerasMLPClassifier(**FAST, batch_size=batch_size, epochs=150, tol=None).fit(X, Y)
    losses = whole.history_["loss"]
    expected = ends_in_scikit_learn(losses, 1e-3, 5)
    assert expected is not None
    assert expected < 150
    fitted = KerasMLPClassifier(**FAST, batch_size=batch_size, epochs=150, tol=1e-3, n_iter_no_change=5)
    fitted.fit(X, Y)
    assert fitted.history_["loss"] == losses[:expected]
    assert fitted.stopped_early_
    assert not whole.stopped_early_
    last = KerasMLPClassifier(**FAST, batch_size=batch_size, epochs=expected, tol=None).fit(X, Y)
    for got, wanted in zip(fitted.model_.get_weights(), last.model_.get_weights(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-7)


def test_members_of_a_population_end_each_by_itself_as_alone() -> None:
    grid = {"learning_rate": [0.01, 0.05], "tol": [None, 1e-3, 1e-2]}
    estimator = KerasMLPClassifier(n_neurons=8, epochs=120, random_state=0)
    splits = [(np.arange(150) % 3 != k, np.arange(150) % 3 == k) for k in range(2)]
    splits = [(np.flatnonzero(train), np.flatnonzero(test)) for train, test in splits]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search = GridSearchCV(estimator, grid, cv=splits, refit=False).fit(X, Y)
        assert len(search.plan_.groups) == 1
        assert not search.plan_.alone
        lengths = set()
        for params, histories in zip(search.cv_results_["params"], search.histories_, strict=True):
            for (train, _), history in zip(splits, histories, strict=True):
                alone = copy.deepcopy(estimator).set_params(**params).fit(X[train], Y[train])
                assert len(history["loss"]) == n_epochs(alone)
                np.testing.assert_allclose(history["loss"], alone.history_["loss"], rtol=1e-4)
                lengths.add(n_epochs(alone))
    assert len(lengths) > 4
    stopped = search.cv_results_["split0_stopped_early"].tolist()
    assert stopped == [own < 120 for own in search.cv_results_["split0_epochs"]]


def test_the_best_epoch_is_that_of_the_validation_loss() -> None:
    fitted = KerasMLPClassifier(**FAST, epochs=150, tol=1e-3).fit(
        X[::2], Y[::2], validation_data=(X[1::2], Y[1::2])
    )
    assert fitted.stopped_early_
    assert fitted.best_epoch_ == np.argmin(fitted.history_["val_loss"])


@pytest.mark.parametrize("early_stopping", [True, False])
def test_early_stopping_decides_instead(early_stopping: bool) -> None:
    callbacks = None if early_stopping else [EarlyStopping("loss", patience=50)]
    fitted = KerasMLPClassifier(
        **FAST, epochs=30, early_stopping=early_stopping, callbacks=callbacks, tol=10.0
    )
    fitted.fit(X, Y)
    assert n_epochs(fitted) > 12
    assert not any(isinstance(callback, Convergence) for callback in fitted.callbacks_)


def test_partial_fit_never_ends() -> None:
    estimator = KerasMLPClassifier(**FAST, tol=10.0, n_iter_no_change=1)
    for _ in range(5):
        estimator.partial_fit(X, Y, classes=[0, 1, 2])
    assert n_epochs(estimator) == 5


def test_warm_start_counts_anew() -> None:
    estimator = KerasMLPClassifier(**FAST, epochs=20, tol=10.0, n_iter_no_change=2, warm_start=True)
    assert [n_epochs(estimator.fit(X, Y)) for _ in range(2)] == [4, 4]


def test_where_a_search_says_for_how_long_tol_has_no_part() -> None:
    grid = {"learning_rate": [0.01, 0.05]}
    estimator = KerasMLPClassifier(n_neurons=8, epochs=60, tol=0.05, n_iter_no_change=3, random_state=0)
    search = GridSearchCV(estimator, grid, cv=2, refit_epochs="cv").fit(X, Y)
    best = [search.cv_results_[f"split{split}_best_epoch"][search.best_index_] for split in range(2)]
    assert n_epochs(search.best_estimator_) == round(np.mean(best)) + 1


# epochs="auto"


@pytest.mark.parametrize(
    ("n_rows", "params", "call", "expected"),
    [
        (150, {}, {}, 2000),
        (150, {"batch_size": 50}, {}, 667),
        (150, {"batch_size": 10}, {}, 200),
        (150, {"batch_size": 10}, {"batch_size": 50}, 667),
        (150, {}, {"steps_per_epoch": 1}, 2000),
        (150, {"batch_size": 50}, {"validation_split": 0.5}, 1000),
        (150, {"batch_size": 50, "early_stopping": True, "validation_fraction": 0.5}, {}, 1000),
        (150, {"batch_size": 50}, {"sample_weight": np.arange(150) < 60}, 1000),
        (150, {"batch_size": 50}, {"epochs": 7}, 7),
    ],
)
def test_auto_is_as_many_epochs_as_2000_updates_need(
    n_rows: int, params: dict[str, Any], call: dict[str, Any], expected: int
) -> None:
    with warnings.catch_warnings():  # of Model.fit, which some of these arguments need
        warnings.simplefilter("ignore")
        estimator = KerasMLPClassifier(n_neurons=4, epochs="auto", **params)
        assert asked(estimator, X[:n_rows], Y[:n_rows], **call) == expected


def test_schedules_span_the_epochs_of_auto() -> None:
    params: dict[str, Any] = {"n_neurons": 4, "schedule": "cosine", "batch_size": 25, "random_state": 0}
    auto, told = (KerasMLPRegressor(epochs=epochs, tol=None, **params) for epochs in ("auto", 334))
    assert auto.fit(X, X[:, 0]).history_ == told.fit(X, X[:, 0]).history_
    assert n_epochs(auto) == 334
    curves = [clone(own).partial_fit(X, X[:, 0]).partial_fit(X, X[:, 0]).history_ for own in (auto, told)]
    assert curves[0] == curves[1]
    with pytest.raises(ValueError, match=r"warmup_epochs=400 must be less than epochs=334"):
        auto.set_params(warmup_epochs=400).fit(X, X[:, 0])


def test_folds_of_other_sizes_that_ask_for_other_epochs_train_together() -> None:
    rows = np.random.default_rng(0).permutation(150)
    splits = [(rows[:50], rows[101:]), (rows[:51], rows[101:])]
    estimator = KerasMLPClassifier(n_neurons=4, epochs="auto", batch_size=10, tol=None, random_state=0)
    search = GridSearchCV(estimator, {"learning_rate": [1e-3, 1e-2]}, cv=splits, refit=False).fit(X, Y)
    assert len(search.plan_.groups) == 1
    epochs = [search.cv_results_[f"split{split}_epochs"].tolist() for split in range(2)]
    assert epochs == [[400] * 2, [334] * 2]


def test_halving_and_hyperband_hand_out_the_epochs_of_auto() -> None:
    estimator = KerasMLPClassifier(n_neurons=4, epochs="auto", batch_size=15, random_state=0)
    grid = {"learning_rate": [1e-3, 1e-2]}
    halving = HalvingGridSearchCV(estimator, grid, factor=2, cv=2, refit=False, max_resources="auto").fit(
        X, Y
    )
    assert halving.max_resources_ == 200
    assert halving.n_resources_ == [100, 200]
    space = {"kerasmlpclassifier__learning_rate": [1e-3, 1e-2, 1e-1]}
    search = OracleSearchCV(make_pipeline(estimator), space, oracle="hyperband", cv=2, random_state=0)
    with pytest.warns(UserWarning, match="none was trained for more than .* of 200 epochs"):
        search.set_params(refit=False).fit(X, Y)


# ConvergenceWarning


def test_a_loss_that_still_falls_is_told() -> None:
    estimator = KerasMLPClassifier(**FAST, epochs=5, tol=1e-4)
    with pytest.warns(ConvergenceWarning, match=f"KerasMLPClassifier: {STILL_FALLS}") as caught:
        estimator.fit(X, Y)
    (message,) = said(caught)
    losses = estimator.history_["loss"]
    assert f"by {losses[0] - losses[-1]:.2g} to {losses[-1]:.2g} in" in message


@pytest.mark.parametrize(
    "params", [{"tol": None}, {"tol": 10.0, "n_iter_no_change": 4, "epochs": 6}, {"early_stopping": True}]
)
def test_nothing_is_told(params: dict[str, Any]) -> None:
    # Without the rule; where it would end training with the last epoch; beside early stopping.
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        KerasMLPClassifier(**{**FAST, "epochs": 5, "tol": 1e-4, **params}).fit(X, Y)


@pytest.mark.slow
def test_a_search_tells_once_of_all_fits(tmp_path: Any) -> None:
    estimator = KerasMLPClassifier(**FAST, epochs=5, tol=1e-4)
    message = f"GridSearchCV: 8 of 8 fits did not converge. The first: {STILL_FALLS}"
    for n_jobs, journal in [(None, tmp_path / "journal"), (2, None)]:
        search = GridSearchCV(
            estimator,
            {"learning_rate": [0.01, 0.02], "batch_size": [32, 150]},
            cv=2,
            refit=False,
            n_jobs=n_jobs,
            journal=journal,
        )
        for _ in range(1 if journal is None else 2):  # the second is the journal's
            with pytest.warns(ConvergenceWarning, match=message) as caught:
                search.fit(X, Y)
            assert len(said(caught)) == 1
    with pytest.warns(ConvergenceWarning) as caught:
        search.set_params(n_jobs=None, refit=True).fit(X, Y)
    assert [text.partition(":")[0] for text in said(caught)] == ["GridSearchCV", "KerasMLPClassifier"]


def test_an_ensemble_tells_once_of_all_members() -> None:
    ensemble = KerasEnsembleClassifier(KerasMLPClassifier(**FAST, epochs=5, tol=1e-4), 3, random_state=0)
    with pytest.warns(ConvergenceWarning, match="KerasEnsembleClassifier: 3 of 3 fits did not") as caught:
        ensemble.fit(X, Y)
    assert len(said(caught)) == 1


def test_nothing_is_told_where_epochs_are_the_resource() -> None:
    grid = {"learning_rate": [0.01, 0.02]}
    estimator = KerasMLPClassifier(**FAST, epochs=6, tol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        HalvingGridSearchCV(estimator, grid, factor=2, cv=2).fit(X, Y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tol": -1.0}, "'tol' parameter .* must be a float in the range \\[0.0, inf\\) or None. Got -1.0"),
        ({"n_iter_no_change": 0}, "'n_iter_no_change' parameter .* must be an int in the range \\[1, inf\\)"),
        ({"epochs": "all"}, "'epochs' parameter .* must be an int in the range .* or a str among {'auto'}"),
    ],
)
@pytest.mark.parametrize("kind", [KerasMLPClassifier, KerasMLPRegressor])
def test_bad_values_are_refused(kind: type, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**params).fit(X, Y)


def test_an_ensemble_resolves_auto() -> None:
    search = GridSearchCV(
        KerasMLPClassifier(**FAST, epochs="auto", tol=1e-2), {"learning_rate": [0.05, 0.03]}, cv=2
    ).fit(X, Y)
    ensemble = search.ensemble(2)
    assert ensemble.score(X, Y) > 0.8
