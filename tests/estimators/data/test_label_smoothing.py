"""Label smoothing: the formula, `Model.fit`, searches, saved estimators, baseline and diagnosis."""

from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import xlogy
from sklearn import model_selection as theirs

from kerashp import KerasClassifier, KerasMLPClassifier, build_model, fit
from kerashp.diagnostics import diagnose
from kerashp.estimators._data.losses import least_loss
from kerashp.model_selection import GridSearchCV
from kerashp.models import loss_for

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype("float32")
CODES = np.r_[RNG.integers(0, 3, 57), 0, 1, 2]
TARGETS = {"multiclass": CODES, "binary": CODES % 2, "multilabel": np.c_[CODES > 0, CODES > 1].astype(int)}


def mlp(**params: Any) -> KerasMLPClassifier:
    given = {"n_neurons": 4, "learning_rate": 0.02, "epochs": 3, "batch_size": 16, "random_state": 0}
    return KerasMLPClassifier(**(given | params))


def smoothed(y: np.ndarray, share: float) -> np.ndarray:
    """The targets by the formula, `(n, width)`."""
    if y.ndim == 1 and y.max() > 1:
        return (1 - share) * np.eye(3)[y] + share / 3
    return (1 - share) * y.reshape(len(y), -1) + share / 2


def cross_entropy(targets: np.ndarray, proba: np.ndarray) -> float:
    if proba.shape[1] == 3:
        return float(-xlogy(targets, proba).sum(axis=1).mean())
    return float(-(xlogy(targets, proba) + xlogy(1 - targets, 1 - proba)).mean())


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.7])
def test_the_loss_has_its_closed_form(task: str, share: float) -> None:
    y = TARGETS[task]
    proba = RNG.uniform(0.1, 0.9, (len(y), {"binary": 1, "multilabel": 2}.get(task, 3)))
    proba = proba / proba.sum(axis=1, keepdims=True) if task == "multiclass" else proba
    encoded = np.eye(3)[y] if task == "multiclass" and share else y.reshape(len(y), -1)
    loss = loss_for(task, label_smoothing=share)
    expected = cross_entropy(smoothed(y, share), proba)
    assert float(loss(encoded, proba.astype("float32"))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("task", TARGETS)
def test_the_model_of_an_estimator_trains_as_under_keras(task: str) -> None:
    model = mlp(label_smoothing=0.2, normalize=False, l2=0.0).fit(X, TARGETS[task]).model_
    targets = np.eye(3)[CODES] if task == "multiclass" else TARGETS[task]
    expected = cross_entropy(smoothed(TARGETS[task], 0.2), np.asarray(model(X), float))
    assert model.evaluate(X, targets, verbose=0) == pytest.approx(expected, rel=1e-4)
    trained = []
    for train in (fit, keras.Model.fit):
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        copy.compile(keras.optimizers.SGD(0.1), model.loss)
        train(copy, X, targets, epochs=2, batch_size=16, shuffle=False, verbose=0)
        trained.append(copy.get_weights())
    for ours, of_keras in zip(*trained, strict=True):
        np.testing.assert_allclose(ours, of_keras, rtol=1e-4, atol=1e-5)


def test_probabilities_are_less_certain() -> None:
    labels = (X[:, 0] > 0).astype(int)
    options = {"learning_rate": 0.1, "epochs": 40, "l2": 0.0}
    certain, uncertain = (mlp(label_smoothing=share, **options).fit(X, labels) for share in (0.0, 0.4))
    assert certain.predict_proba(X).max(axis=1).mean() > 0.95
    assert uncertain.predict_proba(X).max(axis=1).mean() < 0.85


@pytest.mark.parametrize("task", TARGETS)
def test_shares_zero_or_not_are_searched_in_one_group(task: str) -> None:
    space = {"label_smoothing": [0.0, 0.1, 0.4]}
    search = GridSearchCV(mlp(), space, cv=2, scoring=None).fit(X, TARGETS[task])
    assert [len(group.fits) for group in search.plan_.groups] == [6]
    assert search.plan_.alone == ()
    splits = list(theirs.check_cv(2, TARGETS[task], classifier=True).split(X, TARGETS[task]))
    for candidate, share in enumerate(space["label_smoothing"]):
        for split, (train, _) in enumerate(splits):
            alone = mlp(label_smoothing=share).fit(X[train], TARGETS[task][train])
            together = search.histories_[candidate][split]["loss"]
            np.testing.assert_allclose(together, alone.history_["loss"], rtol=1e-5)
    expected = theirs.GridSearchCV(mlp(), space, cv=2).fit(X, TARGETS[task])
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], atol=1e-4
    )


def test_a_wrapped_build_model_is_searched_in_one_group() -> None:
    classifier = KerasClassifier(build_model, n_neurons=4, epochs=2, random_state=0, label_smoothing=0.0)
    search = GridSearchCV(classifier, {"label_smoothing": [0.0, 0.2]}, cv=2, scoring="neg_log_loss")
    assert len(search.fit(X, CODES).plan_.groups) == 1
    expected = theirs.GridSearchCV(classifier, search.param_grid, cv=2, scoring="neg_log_loss").fit(X, CODES)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], atol=1e-4
    )


@pytest.mark.parametrize("task", TARGETS)
def test_a_saved_classifier_goes_on_as_before(task: str, tmp_path: Any) -> None:
    y = TARGETS[task]
    fitted = mlp(label_smoothing=0.2).fit(X, y)
    fitted.save(tmp_path)
    loaded = KerasMLPClassifier.load(tmp_path)
    assert loaded.label_smoothing == loaded.model_.loss.label_smoothing == 0.2
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert loaded.partial_fit(X, y).history_["loss"][-1] < loaded.history_["loss"][0]


@pytest.mark.parametrize("task", TARGETS)
def test_the_baseline_is_the_loss_of_the_smoothed_proportions(task: str) -> None:
    y = TARGETS[task]
    fitted = mlp(label_smoothing=0.3).fit(X, y)
    targets = smoothed(y, 0.3)
    expected = cross_entropy(targets, np.broadcast_to(targets.mean(axis=0), targets.shape))
    assert fitted.baseline_loss_ == pytest.approx(expected, rel=1e-5)
    lowest = cross_entropy(targets, targets)
    assert least_loss(fitted.model_) == pytest.approx(lowest, rel=1e-6)
    assert least_loss(mlp().fit(X, y).model_) == 0.0


def test_the_entropy_of_smoothed_targets_is_no_underfitting() -> None:
    labels = (X[:, 0] > 0).astype(int)
    options = {"learning_rate": 0.1, "epochs": 80, "l2": 0.0, "tol": None, "n_neurons": 16}
    fitted = mlp(label_smoothing=0.5, **options).fit(X, labels)
    assert fitted.history_["loss"][-1] / fitted.baseline_loss_ > 0.45
    assert diagnose(fitted).verdict != "underfitting"


def test_shares_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="'label_smoothing' parameter of KerasMLPClassifier must be a float"):
        mlp(label_smoothing=1.0).fit(X, CODES)
    with pytest.raises(ValueError, match=r"loss_for: label_smoothing must be a number in \[0, 1\); got 1"):
        loss_for("binary", 1)
    with pytest.raises(TypeError, match=r"loss_for: label_smoothing must be a number in \[0, 1\); got '0'"):
        loss_for("binary", "0")
    message = "build_model: label_smoothing must be 0 for task='regression', which has no labels; got 0.1"
    with pytest.raises(ValueError, match=message):
        build_model(label_smoothing=0.1)
