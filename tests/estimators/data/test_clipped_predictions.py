"""Predictions clipped to the range of the targets."""

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn import model_selection as theirs

from kerashp import KerasMLPRegressor
from kerashp.model_selection import GridSearchCV

X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
Y = X[:, 0] + 2.0
FAR = 500 * X


def mlp(**params: Any) -> KerasMLPRegressor:
    given = {"n_neurons": 4, "learning_rate": 0.1, "epochs": 5, "random_state": 0, "clip_predictions": True}
    return KerasMLPRegressor(**(given | params))


@pytest.mark.parametrize("normalize_target", [True, False])
@pytest.mark.parametrize("y", [Y, np.c_[Y, -3 * Y], Y.astype("float32")], ids=["one", "two", "single"])
def test_predictions_stay_in_the_range_of_each_target(y: np.ndarray, normalize_target: bool) -> None:
    options = {"normalize_target": normalize_target}
    clipped, free = mlp(**options).fit(X, y), mlp(**options, clip_predictions=False).fit(X, y)
    expected = free.predict(FAR).clip(y.min(axis=0), y.max(axis=0))
    assert np.abs(expected - free.predict(FAR)).max() > 1
    np.testing.assert_allclose(clipped.predict(FAR), expected, rtol=1e-6)
    assert clipped.predict(FAR).dtype == free.predict(FAR).dtype
    outside = clipped.model_.predict(FAR, verbose=0).reshape(expected.shape)
    np.testing.assert_allclose(outside, free.predict(FAR), rtol=1e-4, atol=1e-4)


def test_rows_without_weight_do_not_count() -> None:
    weight = (Y < 2).astype(float)
    fitted = mlp(n_hidden=0).fit(X, Y, sample_weight=weight)
    assert fitted.predict(FAR).max() == pytest.approx(Y[Y < 2].max(), rel=1e-6)


def test_the_range_grows_with_partial_fits_and_is_new_in_a_fit() -> None:
    first, second = Y < 2, Y >= 2
    estimator = mlp(warm_start=True, n_hidden=0).partial_fit(X[second], Y[second])
    assert estimator.predict(FAR).min() == pytest.approx(Y[second].min(), rel=1e-6)
    estimator.partial_fit(X[first], Y[first])
    assert estimator.predict(FAR).min() == pytest.approx(Y.min(), rel=1e-6)
    assert estimator.predict(FAR).max() == pytest.approx(Y.max(), rel=1e-6)
    estimator.fit(X[second], Y[second])
    assert estimator.predict(FAR).min() == pytest.approx(Y[second].min(), rel=1e-6)
    estimator.set_params(clip_predictions=False).partial_fit(X, Y)
    assert estimator.predict(FAR).max() > Y.max() + 1


def test_other_targets_are_refused_as_before() -> None:
    estimator = mlp().fit(X, Y)
    with pytest.raises(ValueError, match=r"y must have the 1 output\(s\) and 1 axes of the y in fit"):
        estimator.partial_fit(X, np.c_[Y, Y])


@pytest.mark.parametrize("y", [Y, np.c_[Y, -3 * Y]], ids=["one", "two"])
@pytest.mark.parametrize("clips", [True, False])
def test_a_saved_regressor_clips_as_before(y: np.ndarray, clips: bool, tmp_path: Any) -> None:
    fitted = mlp(clip_predictions=clips).fit(X, y)
    fitted.save(tmp_path)
    for again in (KerasMLPRegressor.load(tmp_path), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(again.predict(FAR), fitted.predict(FAR))
    later = KerasMLPRegressor.load(tmp_path, clip_predictions=True)
    np.testing.assert_allclose(later.predict(FAR), mlp().fit(X, y).predict(FAR), rtol=1e-6)


def test_scores_and_ensembles_of_a_search_are_of_clipped_predictions() -> None:
    noisy = np.r_[X[:40], 30 * X[40:]], np.r_[Y[:40], Y[40:].clip(1, 3)]
    space = {"clip_predictions": [False, True], "learning_rate": [0.03, 0.1]}
    search = GridSearchCV(mlp(), space, cv=3).fit(*noisy)
    expected = theirs.GridSearchCV(mlp(), space, cv=3).fit(*noisy)
    assert len(search.plan_.groups) == 1
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores, expected.cv_results_["mean_test_score"], rtol=1e-4)
    assert (scores[2:] > scores[:2]).all()
    clipped = GridSearchCV(mlp(), {"learning_rate": [0.03, 0.1]}, cv=3).fit(*noisy).ensemble(2)
    assert clipped.predict(FAR).max() <= noisy[1].max() + 1e-6


def test_the_parameter_is_checked() -> None:
    with pytest.raises(ValueError, match="'clip_predictions' parameter of KerasMLPRegressor must be an"):
        mlp(clip_predictions="yes").fit(X, Y)
