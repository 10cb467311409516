"""Estimators that standardise inputs and targets inside: scales do not matter."""

import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import model_selection
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerashp import KerasMLPClassifier, KerasMLPRegressor
from kerashp.diagnostics import diagnose
from kerashp.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KerasEnsembleRegressor,
    RandomizedSearchCV,
)
from kerashp.model_selection._planning.data_pool import DataPool

RNG = np.random.default_rng(0)
SCALES = np.array([1e-3, 1.0, 30.0, 1e5])
X = RNG.normal(size=(60, 4)) * SCALES + 3 * SCALES
Y = 2e5 * (np.tanh((X / SCALES) @ [1.0, -0.5, 0.3, 0.7]) + 4)
TWO = np.column_stack([Y, X[:, 0]])
WEIGHT = RNG.uniform(0.5, 2, size=60)
BOTH = {"normalize": True, "normalize_target": True}


def mlp(**parameters):
    own = {"n_neurons": 8, "learning_rate": 0.02, "epochs": 12, "random_state": 0, **BOTH}
    return KerasMLPRegressor(**{**own, **parameters})


def test_predict_equals_the_saved_model_on_raw_rows(tmp_path) -> None:
    for y, dtype in ((Y, "float32"), (TWO, "float64")):
        fitted = mlp(dtype=dtype).fit(X, y)
        predicted = fitted.predict(X).reshape(len(X), -1)
        np.testing.assert_allclose(fitted.model_.predict(X, verbose=0), predicted, rtol=2e-5)
        fitted.model_.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(again.predict(X, verbose=0), predicted, rtol=2e-5)
        assert fitted.model_ is fitted.model_
        assert again.optimizer.iterations == 12


def test_it_equals_scalers_around_the_plain_network() -> None:
    plain = mlp(normalize=False, normalize_target=False, dtype="float64")
    outside = TransformedTargetRegressor(make_pipeline(StandardScaler(), plain), transformer=StandardScaler())
    inside = mlp(dtype="float64").fit(X, Y)
    np.testing.assert_allclose(inside.predict(X), outside.fit(X, Y).predict(X), rtol=1e-6)
    curve = outside.regressor_[-1].history_["loss"]
    np.testing.assert_allclose(inside.history_["loss"], curve, rtol=1e-6)


def test_a_classifier_equals_a_scaler_before_the_plain_one() -> None:
    labels = np.median(Y) < Y
    own = {"n_neurons": 8, "epochs": 10, "random_state": 0, "dtype": "float64", "class_weight": {0: 1, 1: 3}}
    outside = make_pipeline(StandardScaler(), KerasMLPClassifier(**own, normalize=False)).fit(X, labels)
    inside = KerasMLPClassifier(**own).fit(X, labels)
    np.testing.assert_allclose(inside.predict_proba(X), outside.predict_proba(X), rtol=1e-6)


# float32 holds 7 + 1e-3 x with an error of 1 in 100 of the deviation of 1e-3 x.
@pytest.mark.parametrize(("dtype", "difference"), [("float64", 1e-5), ("float32", 5e-3)])
def test_scales_do_not_matter(dtype: str, difference: float) -> None:
    X, y = load_diabetes(return_X_y=True)
    own = {"n_neurons": 10, "epochs": 30, "batch_size": 64, "dtype": dtype}
    score = mlp(**own).fit(X, y).score(X, y)
    scaled, values = X * np.geomspace(1e-3, 1e5, X.shape[1]) + 7, 2e5 * y - 3e6
    assert score > 0.4
    assert mlp(**own).fit(scaled, values).score(scaled, values) == pytest.approx(score, abs=difference)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_targets_of_any_scale(scale) -> None:
    one, other = mlp().fit(X, Y / 2e5), mlp().fit(X, Y / 2e5 * scale)
    np.testing.assert_allclose(other.predict(X), one.predict(X) * scale, rtol=1e-3)
    np.testing.assert_allclose(other.model_.predict(X, verbose=0)[:, 0], one.predict(X) * scale, rtol=1e-3)


def test_integer_weights_equal_repeated_rows() -> None:
    times = RNG.integers(0, 4, size=60)
    weighted = mlp(dtype="float64", batch_size=500).fit(X, Y, sample_weight=times)
    repeated = mlp(dtype="float64", batch_size=500).fit(np.repeat(X, times, 0), np.repeat(Y, times))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)


def test_constant_columns_and_targets_are_centred_only() -> None:
    rows, targets = X.copy(), np.column_stack([Y, np.full(60, 0.1)])
    rows[:, 1] = 0.1
    fitted = mlp(learning_rate=0.001).fit(rows, targets)
    moved = rows.copy()
    moved[:, 1] = 0.2
    inner = fitted.model_.layers[0](moved.astype("float32"))
    np.testing.assert_allclose(inner[:, 1], 0.1, rtol=1e-4)
    assert fitted.target_encoder_.deviation_[1] == pytest.approx(0.1)
    changes = fitted.predict(moved) - fitted.predict(rows)
    assert abs(changes[:, 1]).max() < 1  # and not 1e6


def test_held_out_rows_have_no_say() -> None:
    fitted = mlp(validation_fraction=0.5, early_stopping=True, dtype="float64").fit(X, Y)
    mean = fitted.model_.layers[0].get_weights()[0]
    of_rows = mlp(dtype="float64").fit(X, Y).model_.layers[0].get_weights()[0]
    assert not np.allclose(mean, of_rows, rtol=1e-3)
    split = mlp(dtype="float64", l2=0.0).fit(X, Y, validation_split=0.5)
    np.testing.assert_allclose(split.model_.layers[0].get_weights()[0], X[:30].mean(axis=0))
    np.testing.assert_allclose(split.target_encoder_.mean_, Y.mean())  # the unit of the loss is all rows'
    data = mlp(dtype="float64").fit(X[:30], Y[:30], validation_data=(X[30:], Y[30:]))
    np.testing.assert_allclose(data.target_encoder_.mean_, Y[:30].mean())
    held_out = np.square(Y[30:] - split.model_.predict(X[30:], verbose=0)[:, 0]).mean() / Y.var()
    np.testing.assert_allclose(held_out, split.history_["val_loss"][-1], rtol=1e-6)


def test_candidates_that_hold_out_other_rows_share_what_is_kept_of_them(monkeypatch) -> None:
    kept = []
    joined = DataPool.joined
    monkeypatch.setattr(DataPool, "joined", lambda *of: kept.append(joined(*of)) or kept[-1])
    estimator = KerasMLPRegressor(early_stopping=True, epochs=3, patience=3)
    RandomizedSearchCV(estimator, {"n_neurons": [4, 5, 6, 7]}, n_iter=4, cv=3, refit=False).fit(X, Y)
    (of_one_group,) = kept
    assert of_one_group.n_rows == 3 * 40


def test_pickles_and_folders_go_on_alike(tmp_path) -> None:
    fitted = mlp().fit(X, TWO)
    fitted.save(tmp_path)
    others = [pickle.loads(pickle.dumps(fitted)), KerasMLPRegressor.load(tmp_path)]
    for other in others:
        np.testing.assert_array_equal(other.predict(X), fitted.predict(X))
        assert other._network.optimizer.iterations == 12
    fitted.partial_fit(X * 2, TWO * 2)
    others[0].partial_fit(X * 2, TWO * 2)
    np.testing.assert_allclose(others[0].predict(X), fitted.predict(X), rtol=1e-5)


def test_warm_start_from_keeps_the_statistics(tmp_path) -> None:
    source = mlp().fit(X, Y)
    source.model_.save(tmp_path / "model.keras")
    still = {"learning_rate": 1e-9, "epochs": 1}
    for start in (source, source.model_, tmp_path / "model.keras"):
        fitted = mlp(warm_start_from=start, **still).fit(X[:20] * 3, Y[:20] * 3)
        np.testing.assert_allclose(fitted.predict(X), source.predict(X), rtol=1e-4)
    raw = mlp(warm_start_from=source, normalize_target=False, **still).fit(X[:20], Y[:20])
    np.testing.assert_allclose(raw.predict(X), source.predict(X), rtol=1e-4)
    plain = mlp(normalize=False, normalize_target=False).fit(X / SCALES, Y / 2e5)
    fitted = mlp(warm_start_from=plain, **still).fit(X[:20] / SCALES, Y[:20] / 2e5)
    np.testing.assert_allclose(fitted.predict(X / SCALES), plain.predict(X / SCALES), rtol=1e-4)


def test_one_row_and_integers() -> None:
    assert mlp(epochs=1).fit([[1, 2]], [3]).predict([[1, 2]]) == pytest.approx(3, abs=1e-3)
    rows, values = [[1], [2], [30]], [1000, 2000, 30000]
    assert mlp(epochs=40).fit(rows, values).score(rows, values) > 0


def test_no_advice_to_scale_what_is_scaled_inside() -> None:
    said = str(diagnose(mlp(learning_rate=1e-5).fit(X, Y)))
    assert "scale the" not in said


def test_inputs_whose_variance_does_not_fit() -> None:
    rows = X.copy()
    rows[0, 2] = 1e30
    with pytest.raises(ValueError, match=r"normalize=True needs columns of X .* in column 2: divide it by"):
        mlp().fit(rows, Y)


@pytest.mark.parametrize("offset", [1e12, -1e12])
def test_columns_far_from_zero_are_scaled(offset: float) -> None:
    plain = mlp(epochs=100).fit(X, Y).score(X, Y)
    assert plain > 0.85
    rows = X / SCALES
    rows[:, 1] = offset + 1e6 * rows[:, 1]  # times in milliseconds: float32 holds 65,000 as its last digit
    assert mlp(epochs=100).fit(rows, Y).score(rows, Y) == pytest.approx(plain, abs=0.05)
    values = 1.7e12 + 1e6 * Y / 2e5  # targets are standardised in float64
    assert mlp(epochs=100).fit(X, values).score(X, values) == pytest.approx(plain, abs=0.01)


@pytest.mark.parametrize("size", [1e-9, 1e-3, 1e9])
def test_constant_targets_of_any_size(size: float) -> None:
    predicted = mlp(epochs=100).fit(X, np.full(60, size)).predict(X)
    np.testing.assert_allclose(predicted, size, rtol=0.05)


def test_rows_without_a_weight_do_not_make_a_column_vary() -> None:
    rows = X.copy()
    rows[:, 1] = 0.1
    rows[0, 1] = 0.2
    weight = np.r_[0.0, np.ones(59)]
    statistics = mlp().fit(rows, Y, sample_weight=weight).model_.layers[0].get_weights()
    np.testing.assert_allclose([statistics[0][1], statistics[1][1]], [0.1, 1.0], rtol=1e-6)


def test_the_penalty_of_auto_follows_the_rows_of_partial_fit() -> None:
    stream = KerasMLPRegressor(random_state=0).partial_fit(X[:1], Y[:1])
    penalties = [layer.kernel_regularizer for layer in stream._network.layers if hasattr(layer, "kernel")]
    assert [float(own.l2) for own in penalties] == [4.0, 4.0]
    stream.partial_fit(X, Y, sample_weight=np.full(60, 2))
    np.testing.assert_allclose([float(own.l2) for own in penalties], 4 / 121)
    stream = KerasMLPRegressor(random_state=0).partial_fit(X[:20], Y[:20]).partial_fit(X[20:], Y[20:])
    for _ in range(3):  # further epochs of the same rows
        stream.partial_fit(X[:20], Y[:20]).partial_fit(X[20:], Y[20:])
    assert float(stream._network.layers[-1].kernel_regularizer.l2) == pytest.approx(4 / 60)
    again = KerasMLPRegressor(random_state=0, warm_start=True, epochs=1).fit(X[:5], Y[:5]).fit(X, Y)
    penalties = [layer.kernel_regularizer for layer in again._network.layers if hasattr(layer, "kernel")]
    np.testing.assert_allclose([float(own.l2) for own in penalties], 4 / 60)
    fixed = KerasMLPRegressor(random_state=0, l2=0.5).partial_fit(X[:1], Y[:1]).partial_fit(X, Y)
    assert fixed._network.layers[-1].kernel_regularizer.l2 == 0.5


def test_columns_that_keras_makes_too_small() -> None:
    rows = X.copy()
    rows[:, 2] = 1e-12 * RNG.normal(size=60)
    with pytest.warns(UserWarning, match=r"that of 1 columns \(2\) is smaller, so their"):
        mlp(epochs=1).fit(rows, Y)
    with pytest.warns(UserWarning, match="is smaller, so their") as caught:
        GridSearchCV(mlp(epochs=1), {"l2": [0.0, 0.1]}, cv=2, refit=False).fit(rows, Y)
    assert sum("is smaller, so their" in str(warning.message) for warning in caught) == 1
    rows[:, 2] = 1e-12  # a constant has no deviation to divide by
    mlp(epochs=1).fit(rows, Y)
    rows[:, 2] = 1e-6 * RNG.normal(size=60)
    mlp(epochs=1).fit(rows, Y)


SEARCHES = {
    "both": {},
    "early stopping": {"early_stopping": True, "patience": 2, "validation_fraction": 0.3},
    "no hidden layer": {"n_hidden": 0},
    "batch normalization": {"batch_normalization": True},
    "inputs only": {"normalize_target": False},
    "targets only": {"normalize": False, "learning_rate": 1e-4},
    "float64": {"dtype": "float64"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.filterwarnings("error::kerashp.training.FallbackWarning")
def test_a_search_equals_scikit_learns(name) -> None:
    space = {"n_neurons": [4, 7], "l2": [0.0, 0.01]}
    estimator, cv, fit = mlp(epochs=5, **SEARCHES[name]), KFold(3), {"sample_weight": WEIGHT}
    y = Y / 2e5 if name == "inputs only" else TWO if name == "both" else Y
    ours = GridSearchCV(estimator, space, cv=cv, return_train_score=True).fit(X, y, **fit)
    theirs = model_selection.GridSearchCV(estimator, space, cv=cv, return_train_score=True).fit(X, y, **fit)
    for score in ("mean_test_score", "mean_train_score", "split2_test_score"):
        np.testing.assert_allclose(ours.cv_results_[score], theirs.cv_results_[score], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-3)


def test_an_ensemble_equals_its_members() -> None:
    ensemble = KerasEnsembleRegressor(mlp(), [{"l2": 0.0}, {"l2": 0.01}]).fit(X, TWO, sample_weight=WEIGHT)
    alone = [mlp(l2=l2).fit(X, TWO, sample_weight=WEIGHT).predict(X) for l2 in (0.0, 0.01)]
    np.testing.assert_allclose(ensemble.predict(X), np.mean(alone, axis=0), rtol=1e-3)


def test_halving_goes_on_with_each_folds_statistics() -> None:
    space = {"l2": [0.0, 0.01, 0.1, 1.0]}
    search = HalvingGridSearchCV(
        mlp(), space, factor=2, resource="epochs", min_resources=4, max_resources=8, cv=KFold(3)
    ).fit(X, Y)
    best = search.best_index_
    alone = model_selection.cross_val_score(mlp(**search.best_params_), X, Y, cv=KFold(3))
    np.testing.assert_allclose(search.cv_results_["mean_test_score"][best], alone.mean(), rtol=1e-3)


@pytest.mark.parametrize("y", [Y, TWO], ids=["one", "two"])
def test_the_model_agrees_with_the_predictions_in_float64(y, tmp_path) -> None:
    fitted = mlp(dtype="float64").fit(X, y)
    fitted.model_.save(tmp_path / "model.keras")
    predicted = fitted.predict(X).reshape(len(X), -1)
    for model in (fitted.model_, keras.saving.load_model(tmp_path / "model.keras")):
        outputs = keras.ops.convert_to_numpy(model(X))  # `predict` makes float32 of X
        np.testing.assert_allclose(outputs, predicted, rtol=1e-6 if y is Y else 1e-12)
    fitted.save(tmp_path)
    np.testing.assert_array_equal(KerasMLPRegressor.load(tmp_path).predict(X), fitted.predict(X))


@pytest.mark.slow
def test_keras_alone_reads_what_is_saved(tmp_path) -> None:
    fitted = mlp().fit(X, TWO)
    fitted.save(tmp_path)
    np.save(tmp_path / "rows.npy", X)
    script = (
        "import sys, keras, numpy; model = keras.saving.load_model(sys.argv[1] + '/model.keras');"
        "assert 'kerashp' not in sys.modules;"
        "rows = numpy.load(sys.argv[1] + '/rows.npy');"
        "numpy.save(sys.argv[1] + '/out.npy', model.predict(rows, verbose=0))"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), fitted.predict(X), rtol=1e-4)


def test_several_outputs_and_channels_first() -> None:
    fitted = mlp().fit(X, TWO)
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="image data format is 'channels_first'; call keras.config.set_"):
            _ = fitted.model_
        one = mlp().fit(X, Y)
        np.testing.assert_allclose(one.model_.predict(X, verbose=0)[:, 0], one.predict(X), rtol=2e-5)
    finally:
        keras.config.set_image_data_format("channels_last")


def test_a_journal_keeps_the_fits(tmp_path) -> None:
    grid = {"learning_rate": [0.03, 0.01], "normalize_target": [True, False]}
    searches = [GridSearchCV(mlp(), grid, cv=2, journal=tmp_path).fit(X, Y) for _ in range(2)]
    first, again = (search.cv_results_["split0_test_score"].tolist() for search in searches)
    assert first == again


def test_sparse_rows() -> None:
    rows = np.where(np.abs(X) < np.median(np.abs(X), axis=0), 0, X)
    expected = mlp().fit(rows, Y).predict(rows)
    np.testing.assert_array_equal(mlp().fit(csr_array(rows), Y).predict(csr_array(rows)), expected)


def test_a_value_that_is_no_bool_is_refused() -> None:
    with pytest.raises(ValueError, match="'normalize_target' parameter of KerasMLPRegressor must be"):
        mlp(normalize_target="yes").fit(X, Y)


@pytest.mark.slow
@pytest.mark.parametrize("normalize_target", [False, True])
def test_a_scorer_that_asks_the_model_itself_gets_each_folds_statistics(normalize_target: bool) -> None:
    def error(estimator, X, y):
        return -np.square(estimator.model_.predict(X, verbose=0)[:, 0] - y).mean()

    rows, y = X[np.argsort(X[:, 0])], Y / Y.std()
    estimator = mlp(normalize_target=normalize_target)
    given = estimator, {"learning_rate": [0.02, 0.05]}
    options = {"cv": KFold(3), "scoring": error, "refit": False}
    expected = model_selection.GridSearchCV(*given, **options).fit(rows, y).cv_results_
    results = GridSearchCV(*given, **options).fit(rows, y).cv_results_
    for split in range(3):
        key = f"split{split}_test_score"
        np.testing.assert_allclose(results[key], expected[key], rtol=1e-3)


def test_folds_read_the_file_that_they_start_from_no_more_than_twice(tmp_path, monkeypatch) -> None:
    path = tmp_path / "model.keras"
    mlp().fit(X, Y).model_.save(path)
    read: list[str] = []
    load = keras.saving.load_model
    monkeypatch.setattr(
        "kerashp.estimators._training.warm_start._loaded", lambda one: read.append(one) or load(one)
    )
    GridSearchCV(mlp(warm_start_from=path), {"learning_rate": [1e-3]}, cv=4, refit=False).fit(X, Y)
    assert len(read) == 2  # for the weights, and for the target's units
