"""Perceptrons that are fitted on data frames with categories and missing values."""

import copy
import pickle
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor
from kerashp.layers import CategoricalColumns
from kerashp.training import isolated

N_ROWS = 90
SHORT = {"epochs": 3, "tol": None, "random_state": 0}


def table(n_rows: int = N_ROWS, seed: int = 0) -> pd.DataFrame:
    """Two columns of numbers, one with missing ones, two of few categories, one of many."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "area": rng.normal(size=n_rows),
            "colour": rng.choice(["red", "green", "blue"], n_rows),
            "city": pd.Categorical([f"city {number}" for number in rng.integers(0, 14, n_rows)]),
            "rooms": rng.integers(0, 5, n_rows),
            "garden": rng.random(n_rows) < 0.5,
        }
    )
    frame.loc[::7, "area"] = np.nan
    frame.loc[::11, "colour"] = None
    return frame


def target(frame: pd.DataFrame) -> np.ndarray:
    return (frame["rooms"] + 2 * frame["garden"] + 3 * (frame["colour"] == "red")).to_numpy(float)


X = table()
Y = target(X)
LABELS = np.where(Y > 4, "high", "low")
FITTED = KerasMLPRegressor(**SHORT).fit(X, Y)


def test_the_network_learns_from_categories_and_missing_numbers() -> None:
    regressor = KerasMLPRegressor(epochs=40, tol=None, random_state=0).fit(X, Y)
    assert regressor.score(X, Y) > 0.95
    classifier = KerasMLPClassifier(epochs=40, tol=None, random_state=0).fit(X, LABELS)
    assert classifier.score(X, LABELS) > 0.95


def test_the_model_takes_what_the_encoder_returns() -> None:
    matrix = FITTED.feature_encoder_.transform(X)
    assert matrix.shape == (N_ROWS, 6)
    assert [layer.name for layer in FITTED.model_.layers][:2] == ["normalization", "categorical_columns"]
    np.testing.assert_allclose(FITTED.model_.predict(matrix, verbose=0)[:, 0], FITTED.predict(X), rtol=1e-5)


def test_the_layer_has_one_hot_columns_and_embeddings() -> None:
    layer = CategoricalColumns(2, 5, 2, 20, 3)
    rows = np.array([[0.5, 1, 4, 2, 11], [0.5, -1, 3, -1, 19]], "float32")
    outputs = keras.ops.convert_to_numpy(layer(rows))
    vectors = keras.ops.convert_to_numpy(layer.embedding.embeddings)
    assert outputs.shape == (2, 12)
    np.testing.assert_array_equal(outputs[:, :6], [[0.5, 0, 1, 0, 0, 1], [0.5, 0, 0, 0, 1, 0]])
    np.testing.assert_array_equal(outputs[0, 6:], [*vectors[2], *vectors[11]])
    np.testing.assert_array_equal(outputs[1, 6:], [0, 0, 0, *vectors[19]])


def test_codes_are_not_rounded_by_a_narrow_float_type() -> None:
    layer = CategoricalColumns(0, 0, 1, 3000, 2, dtype="mixed_float16")
    vectors = np.arange(6000).reshape(3000, 2) % 7
    layer.build((None, 1))
    layer.embedding.set_weights([vectors])
    outputs = keras.ops.convert_to_numpy(layer(np.array([[2049.0], [2999.0]], "float32")))
    np.testing.assert_array_equal(outputs, vectors[[2049, 2999]])


@pytest.mark.parametrize("size", [-1, 1.5, True, "1"])
def test_a_layer_of_impossible_sizes_is_refused(size: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="CategoricalColumns: n_one_hot must be"):
        CategoricalColumns(size)


def test_only_numbers_are_standardised() -> None:
    layer = FITTED.model_.layers[0]
    mean, variance, _ = layer.get_weights()
    area = X["area"].fillna(X["area"].mean())
    np.testing.assert_allclose(mean, [area.mean(), X["rooms"].mean(), 0, 0, 0, 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance, [area.var(ddof=0), X["rooms"].var(ddof=0), 1, 1, 1, 1], rtol=1e-5)
    only_categories = KerasMLPRegressor(**SHORT).fit(X[["colour", "city"]], Y)
    assert np.isfinite(only_categories.predict(X[["colour", "city"]])).all()


OPTIONS: list[dict[str, Any]] = [{}, {"normalize": False}, {"dtype": "float64"}, {"embedding_dim": 2}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_polars_frame_gives_the_same_numbers(options: dict[str, Any]) -> None:
    frame = pl.DataFrame({name: [None if pd.isna(v) else v for v in X[name].tolist()] for name in X})
    ours = KerasMLPRegressor(**SHORT, **options).fit(X, Y)
    theirs = KerasMLPRegressor(**SHORT, **options).fit(frame, Y)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(frame))
    np.testing.assert_array_equal(ours.predict(frame), theirs.predict(X))


def test_rows_to_predict_may_have_new_categories_and_new_missing_values() -> None:
    new = table(20, 1).assign(city="elsewhere", rooms=pd.array([pd.NA] * 20, "Int64"))
    new["colour"] = new["colour"].where(new["colour"] != "red", "yellow")
    assert np.isfinite(FITTED.predict(new)).all()
    unseen, missing = new.assign(colour="yellow"), new.assign(colour=None)
    np.testing.assert_array_equal(FITTED.predict(unseen), FITTED.predict(missing))


def test_names_and_their_order_are_checked() -> None:
    with pytest.raises(ValueError, match="(?s)feature names should match.*must be in the same order"):
        FITTED.predict(X[X.columns[::-1]])
    with pytest.raises(ValueError, match="(?s)feature names should match.*now missing.*city"):
        FITTED.predict(X.rename(columns={"city": "town"}))
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*unseen at fit time.*- more"):
        FITTED.predict(X.assign(more=1))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        predicted = FITTED.predict(X.to_numpy())
    np.testing.assert_array_equal(predicted, FITTED.predict(X))
    assert FITTED.feature_names_in_.tolist() == list(X)
    assert FITTED.n_features_in_ == 5


def test_the_number_of_columns_and_of_rows_is_checked() -> None:
    array = table().to_numpy()
    fitted = KerasMLPRegressor(categorical_features=[1, 2, 4], **SHORT).fit(array, Y)
    with pytest.raises(ValueError, match="X has 4 features, but KerasMLPRegressor is expecting 5 features"):
        fitted.predict(array[:, :4])
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        FITTED.predict(X[:0])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clone(FITTED).fit(X, Y[:-1])
    with pytest.raises(ValueError, match="requires y to be passed"):
        clone(FITTED).fit(X, None)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        clone(FITTED).fit(X, np.where(Y > 3, np.nan, Y))


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_infinite_numbers_are_refused(value: float) -> None:
    numbers = np.random.default_rng(0).normal(size=(20, 2))
    numbers[3, 1] = value
    frame = pd.DataFrame(numbers, columns=["a", "b"]).assign(c="x")
    for data in (numbers, frame, sparse.csr_array(numbers)):
        with pytest.raises(ValueError, match="Input X contains infinity or a value too large"):
            KerasMLPRegressor(**SHORT).fit(data, numbers[:, 0])
    with pytest.raises(ValueError, match="Input X contains infinity or a value too large"):
        FITTED.predict(X.assign(area=value))


def test_a_number_too_large_for_the_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"X holds values of up to 1\.0e\+18 in column 1.*Scale the inputs"):
        KerasMLPRegressor(normalize=False, **SHORT).fit(X.assign(rooms=1e18), Y)


def test_missing_numbers_of_arrays_are_taken_and_of_other_estimators_refused() -> None:
    assert get_tags(KerasMLPRegressor()).input_tags.allow_nan
    assert not get_tags(KerasClassifier()).input_tags.allow_nan
    numbers = X[["area", "rooms"]].to_numpy(float)
    fitted = KerasMLPRegressor(**SHORT).fit(numbers, Y)
    frame = KerasMLPRegressor(**SHORT).fit(X[["area", "rooms"]], Y)
    sparse_rows = KerasMLPRegressor(**SHORT).fit(sparse.csr_array(numbers), Y)
    filled = SimpleImputer(add_indicator=True).fit_transform(numbers)
    np.testing.assert_allclose(fitted.feature_encoder_.transform(numbers), filled)
    np.testing.assert_array_equal(fitted.predict(numbers), frame.predict(X[["area", "rooms"]]))
    np.testing.assert_array_equal(fitted.predict(numbers), sparse_rows.predict(sparse.csr_array(numbers)))


def test_numbers_missing_in_rows_to_predict_become_the_mean() -> None:
    numbers = np.random.default_rng(0).normal(size=(40, 2))
    fitted = KerasMLPRegressor(**SHORT).fit(numbers, numbers[:, 0], sample_weight=np.arange(40) + 1.0)
    assert len(fitted.model_.layers) == 4  # as without missing numbers
    missing, mean = numbers[:10].copy(), numbers[:10].copy()
    missing[:, 1], mean[:, 1] = np.nan, np.average(numbers[:, 1], weights=np.arange(40) + 1)
    np.testing.assert_allclose(fitted.predict(missing), fitted.predict(mean), rtol=1e-5)


def test_the_encoding_stays_that_of_the_first_call() -> None:
    part, rest = X[:30].assign(colour="red"), X[30:]
    fitted = KerasMLPRegressor(**SHORT).partial_fit(part, Y[:30])
    sizes = fitted.feature_encoder_.sizes(8)
    fitted.partial_fit(rest, Y[30:])
    assert fitted.feature_encoder_.sizes(8) == sizes
    warm = KerasMLPRegressor(warm_start=True, **SHORT).fit(part, Y[:30]).fit(rest, Y[30:])
    assert warm.feature_encoder_.sizes(8) == sizes
    assert warm.set_params(warm_start=False).fit(rest, Y[30:]).feature_encoder_.sizes(8) != sizes


def test_validation_rows_are_encoded_as_the_training_rows() -> None:
    fitted = KerasMLPRegressor(**SHORT).fit(X[:60], Y[:60], validation_data=(X[60:], Y[60:]))
    predicted = (fitted.predict(X[60:]) - fitted.target_encoder_.mean_) / fitted.target_encoder_.deviation_
    expected = (Y[60:] - fitted.target_encoder_.mean_) / fitted.target_encoder_.deviation_
    penalty = sum(float(loss) for loss in fitted._network.losses)
    loss = np.mean((predicted - expected) ** 2) + penalty
    np.testing.assert_allclose(fitted.history_["val_loss"][-1], loss, rtol=1e-4)
    stopped = KerasMLPRegressor(early_stopping=True, **SHORT).fit(X, Y)
    assert len(stopped.history_["val_loss"]) == 3


PARTS: list[dict[str, Any]] = [
    {"scaling": "robust", "input_scale_rate": 6.0},
    {"numeric_embedding": "periodic", "input_scale_rate": 6.0},
    {"numeric_embedding": "piecewise", "embedding_bins": 5},
]


@pytest.mark.parametrize("options", PARTS, ids=str)
@pytest.mark.parametrize("columns", [list(X), ["area", "rooms"], ["colour", "city"]], ids=str)
def test_scales_and_embeddings_of_numbers_leave_other_columns_alone(
    options: dict[str, Any], columns: list[str], tmp_path: Path
) -> None:
    fitted = KerasMLPRegressor(**SHORT, **options).fit(X[columns], Y)
    assert fitted.history_["loss"][-1] < fitted.history_["loss"][0]
    layer = fitted.model_.layers[0]
    matrix = fitted.feature_encoder_.transform(X[columns])
    n_numbers = sum(name in columns for name in ("area", "rooms"))
    outputs = keras.ops.convert_to_numpy(layer(matrix))
    n_others = matrix.shape[1] - n_numbers
    if n_numbers:
        np.testing.assert_array_equal(outputs[:, -n_others:], matrix[:, -n_others:].astype("float32"))
    else:
        assert isinstance(layer, CategoricalColumns)
    fitted.save(tmp_path)
    again = KerasMLPRegressor.load(tmp_path)
    np.testing.assert_array_equal(again.predict(X[columns]), fitted.predict(X[columns]))


def test_integer_weights_equal_repeated_rows() -> None:
    weights = np.arange(N_ROWS) % 3
    rows = np.repeat(np.arange(N_ROWS), weights)
    options = {**SHORT, "dtype": "float64", "batch_size": 2 * N_ROWS}
    weighted = KerasMLPRegressor(**options).fit(X, Y, sample_weight=weights)
    repeated = KerasMLPRegressor(**options).fit(X.iloc[rows], Y[rows])
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)


def test_copies_predict_the_same(tmp_path: Path) -> None:
    unseen = X.assign(city="new")
    expected = FITTED.predict(X), FITTED.predict(unseen)
    FITTED.save(tmp_path)
    copies = [pickle.loads(pickle.dumps(FITTED)), copy.deepcopy(FITTED), KerasMLPRegressor.load(tmp_path)]
    for again in copies:
        np.testing.assert_array_equal((again.predict(X), again.predict(unseen)), expected)
    np.testing.assert_array_equal(clone(FITTED).fit(X, Y).predict(X), expected[0])
    again = copies[-1].partial_fit(X, Y)
    assert again.feature_encoder_.sizes(8) == FITTED.feature_encoder_.sizes(8)


def test_a_selection_of_columns_is_saved(tmp_path: Path) -> None:
    frame = X.assign(colour=X["colour"].map({"red": 1.5, "green": 2.5, "blue": 7.0}))
    for selection in (["colour", "city", "garden"], np.array([1, 2, 4])):
        fitted = KerasMLPRegressor(categorical_features=selection, **SHORT).fit(frame, Y)
        fitted.save(tmp_path)
        again = KerasMLPRegressor.load(tmp_path)
        np.testing.assert_array_equal(again.predict(frame), fitted.predict(frame))
        np.testing.assert_array_equal(again.categorical_features, selection)


def test_a_saved_model_is_loaded_by_keras(tmp_path: Path) -> None:
    FITTED.model_.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    predicted = model.predict(FITTED.feature_encoder_.transform(X), verbose=0)[:, 0]
    np.testing.assert_allclose(predicted, FITTED.predict(X), rtol=1e-5)


def test_a_new_fit_starts_from_the_weights_and_the_codes_of_another() -> None:
    options = {**SHORT, "epochs": 1, "learning_rate": 1e-12, "normalize_target": True}
    others = X[X["city"] != "city 3"].iloc[:60]
    for source in (FITTED, FrozenEstimator(FITTED)):
        warm = KerasMLPRegressor(warm_start_from=source, **options).fit(others, target(others))
        np.testing.assert_allclose(warm.predict(X), FITTED.predict(X), rtol=1e-3, atol=1e-3)


def test_a_start_that_was_fitted_without_missing_numbers_gets_its_means_in_their_place() -> None:
    numbers = X[["rooms", "garden"]].to_numpy(float)
    missing = np.where(np.arange(N_ROWS)[:, None] % 5 == 0, np.nan, numbers)
    source = KerasMLPRegressor(**SHORT).fit(numbers, Y)
    warm = KerasMLPRegressor(warm_start_from=source, **SHORT)
    filled = np.where(np.isnan(missing), numbers.mean(axis=0), missing)
    expected = clone(warm).fit(filled, Y).predict(filled)
    np.testing.assert_allclose(clone(warm).fit(missing, Y).predict(missing), expected, rtol=1e-6)


def test_a_table_without_any_value_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a column of X with values; got only missing ones in the 2"):
        KerasMLPRegressor(**SHORT).fit(np.full((9, 2), np.nan), Y[:9])


def test_a_network_without_its_codes_is_refused_as_a_start() -> None:
    with pytest.raises(ValueError, match="whose codes of categories are not known.*pass the fitted"):
        KerasMLPRegressor(warm_start_from=FITTED.model_, **SHORT).fit(X, Y)
    with pytest.raises(ValueError, match=r"its categories are the columns \[1, 2, 4\] of 5"):
        KerasMLPRegressor(warm_start_from=FITTED, **SHORT).fit(X.assign(garden=1), Y)


def test_parameters_are_checked() -> None:
    with pytest.raises(ValueError, match="'categorical_features' parameter of KerasMLPRegressor must be"):
        KerasMLPRegressor(categorical_features="all").fit(X, Y)
    with pytest.raises(ValueError, match="'embedding_dim' parameter of KerasMLPRegressor must be an int"):
        KerasMLPRegressor(embedding_dim=0).fit(X, Y)
    with pytest.raises(ValueError, match=r"could not convert string to float.*Pass a data frame, whose text"):
        KerasMLPRegressor().fit(X[["colour", "area"]].astype(object).to_numpy(), Y)
    with pytest.raises(ValueError, match=r"X must hold numbers, in rows of one length: could not convert"):
        KerasMLPRegressor(categorical_features=None).fit(X.assign(colour="red"), Y)


def test_an_embedding_takes_memory() -> None:
    with pytest.raises(ValueError, match="makes a network of .* weights; training needs"):
        KerasMLPRegressor(embedding_dim=10**12, **SHORT).fit(X, Y)


def test_the_width_of_the_input_counts_one_hot_columns_and_embeddings() -> None:
    fitted = KerasMLPRegressor(n_neurons="input", embedding_dim=3, **SHORT).fit(X, Y)
    assert fitted.model_.layers[2].units == 2 + 1 + 4 + 2 + 3


def test_seeds_decide_the_embeddings() -> None:
    with isolated(0):
        vectors = [KerasMLPRegressor(**SHORT | {"random_state": seed}).fit(X, Y) for seed in (0, 0, 1)]
    first, again, other = (fitted.model_.layers[1].get_weights()[0] for fitted in vectors)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_pipelines_of_column_transformers_take_the_same_table() -> None:
    categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    transformer = make_column_transformer(
        (SimpleImputer(add_indicator=True), ["area", "rooms"]), (categories, ["colour", "city", "garden"])
    )
    pipeline = make_pipeline(transformer, KerasMLPRegressor(epochs=30, tol=None, random_state=0))
    assert pipeline.fit(X, Y).score(X, Y) > 0.8


def test_a_pipeline_that_returns_data_frames_keeps_the_categories() -> None:
    numbers = make_column_selector(dtype_include="number")
    transformer = make_column_transformer((StandardScaler(), numbers), remainder="passthrough")
    pipeline = make_pipeline(transformer.set_output(transform="pandas"), KerasMLPRegressor(**SHORT)).fit(X, Y)
    assert pipeline[-1].feature_encoder_.is_category.tolist() == [False, False, True, True, True]
    assert np.isfinite(pipeline.predict(X)).all()


def test_skrubs_pipeline_for_tables() -> None:
    skrub = pytest.importorskip("skrub")
    pipeline = skrub.tabular_pipeline(KerasMLPClassifier(epochs=30, tol=None, random_state=0))
    assert pipeline.fit(X, LABELS).score(X, LABELS) > 0.9
    vectorizer = make_pipeline(
        skrub.TableVectorizer(low_cardinality="passthrough", high_cardinality="passthrough"),
        KerasMLPClassifier(epochs=30, tol=None, random_state=0),
    )
    assert vectorizer.fit(X, LABELS).score(X, LABELS) > 0.9
