"""Searches over perceptrons on data frames with categories and missing values."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import sklearn.model_selection
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerashp import KerasMLPClassifier, KerasMLPRegressor
from kerashp.estimators._columns.encoder import ColumnEncoder
from kerashp.estimators._data import standardization
from kerashp.estimators._training.handover import FitSuspended, suspending
from kerashp.estimators._training.pending import PendingNetwork
from kerashp.estimators._training.shared_tables import (
    SharedTables,
    known_rows,
    made_once,
    shared_rows,
    sharing_tables,
)
from kerashp.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV

TOLERANCE = 1e-4
SHORT = {"epochs": 3, "tol": None, "random_state": 0}


def table(n_rows: int = 90) -> tuple[pd.DataFrame, np.ndarray]:
    """A table whose folds have different categories, and missing numbers."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "n": rng.normal(size=n_rows),
            "few": rng.choice(["a", "b", "c"], n_rows),
            "many": rng.choice([f"city {index}" for index in range(30)], n_rows),
        }
    )
    frame.loc[:3, "few"] = "d"
    frame.loc[::20, "n"] = np.nan
    y = frame["n"].fillna(0) + (frame["few"] == "a") + rng.normal(0, 0.1, n_rows)
    return frame, y.to_numpy()


X, Y = table()
HALVES = [np.arange(45), np.arange(45, 90)]
LABELS = np.where(Y > 0.3, "high", "low")
PARAMETERS = {"learning_rate": [0.02, 0.005], "n_neurons": [5, 9]}


def scores(search: Any) -> np.ndarray:
    results = search.cv_results_
    return np.array([results[f"split{split}_test_score"] for split in range(search.n_splits_)])


@pytest.fixture
def stacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """All members of a group train in one block, as for more epochs, for which compiling that pays."""
    monkeypatch.setattr("kerashp.training._keras.modes.Mode.one_by_one", lambda *_: None)
    monkeypatch.setattr("kerashp.training._engine.blocks.n_cores", lambda: 1)


@pytest.mark.usefixtures("stacked")
@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (KerasMLPRegressor(**SHORT), Y),
        pytest.param(KerasMLPClassifier(**SHORT), LABELS, marks=pytest.mark.slow),
    ],
)
def test_scores_are_those_of_scikit_learns_search(estimator: Any, y: Any) -> None:
    parameters = {"learning_rate": [0.02, 0.005], "embedding_dim": [2, 8]}
    ours = GridSearchCV(estimator, parameters, cv=2).fit(X, y)
    theirs = sklearn.model_selection.GridSearchCV(estimator, parameters, cv=2).fit(X, y)
    np.testing.assert_allclose(scores(ours), scores(theirs), atol=TOLERANCE)


def test_folds_learn_their_own_categories_and_train_together() -> None:
    search = GridSearchCV(
        KerasMLPRegressor(**SHORT), {"learning_rate": [0.01], "embedding_dim": [2, 8]}, cv=2
    )
    search.fit(X, Y)
    assert len(search.plan_.groups) == 1
    units = search.plan_.groups[0].room.units
    sizes = [
        KerasMLPRegressor(**SHORT).fit(X.iloc[half], Y[half]).feature_encoder_.sizes(8) for half in HALVES
    ]
    assert sizes[0].n_embedded_categories != sizes[1].n_embedded_categories
    assert sizes[0].n_one_hot_categories != sizes[1].n_one_hot_categories
    assert units[:3] >= (4, max(size.n_embedded_categories for size in sizes), 8)
    assert search.best_estimator_.feature_encoder_.sizes(8).n_one_hot_categories == 4


def test_a_table_is_encoded_once_a_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    original = ColumnEncoder.fit

    def counted(X: Any, weight: Any) -> ColumnEncoder:
        encoded.append(len(X))
        return original(X, weight)

    monkeypatch.setattr(ColumnEncoder, "fit", counted)
    search = GridSearchCV(KerasMLPRegressor(**SHORT), PARAMETERS, cv=3).fit(X, Y)
    assert sorted(encoded) == [60, 60, 60, 90]
    assert search.best_estimator_.feature_encoder_ is not None
    encoded.clear()
    selections = {"categorical_features": [["few", "many"], "from_dtype"], "dtype": ["float32", "float64"]}
    GridSearchCV(KerasMLPRegressor(**SHORT), selections, cv=2, refit=False).fit(X, Y)
    assert sorted(encoded) == [45] * 4  # for each type of the numbers


def test_test_rows_are_encoded_once_a_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    original = ColumnEncoder.encoded

    def counted(self: ColumnEncoder, X: Any) -> np.ndarray:
        encoded.append(len(X))
        return original(self, X)

    monkeypatch.setattr(ColumnEncoder, "encoded", counted)
    GridSearchCV(KerasMLPRegressor(**SHORT), PARAMETERS, cv=3, refit=False).fit(X, Y)
    assert sorted(encoded) == [30] * 3 + [60] * 3
    encoded.clear()
    GridSearchCV(KerasMLPRegressor(**SHORT), PARAMETERS, cv=2, refit=False).fit(X, Y, sample_weight=Y**2)
    assert sorted(encoded) == [45] * (8 + 8)  # by the encoder of each fit


@pytest.mark.parametrize("options", [{"scaling": "robust"}, {"numeric_embedding": "piecewise"}], ids=str)
def test_statistics_are_computed_once_a_fold(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    computed: list[int] = []
    name = "medians_and_factors" if "scaling" in options else "quantiles"
    place = f"kerashp.estimators._data.standardization.{name}"
    original = getattr(standardization, name)

    def counted(values: np.ndarray, *arguments: Any) -> Any:
        computed.append(len(values))
        return original(values, *arguments)

    monkeypatch.setattr(place, counted)
    numbers = X[["n"]].to_numpy()
    GridSearchCV(KerasMLPRegressor(**options, **SHORT), PARAMETERS, cv=3, refit=False).fit(numbers, Y)
    assert computed == [60] * 3


def test_what_is_made_of_rows_that_no_search_shares_is_not_kept() -> None:
    tables, made = SharedTables(), []
    with sharing_tables(tables):
        rows, _ = shared_rows((X, Y), lambda: (X[:10], Y[:10]))
        assert shared_rows((X, Y), lambda: (X[:10], Y[:10]))[0] is rows
        for table in (rows, rows, X, X):
            made_once(table, "key", lambda: made.append(1))
    made_once(rows, "key", lambda: made.append(1))
    assert len(made) == 1 + 2 + 1


def test_rows_equal_to_those_of_a_split_are_known() -> None:
    tables = SharedTables()
    with sharing_tables(tables):
        rows, _ = shared_rows((X, Y), lambda: (X[:10], Y[:10]))
        assert known_rows(X[:10].copy()) is rows
        others = [X[10:20], X[:11], X[:10].assign(n=1.0), X[["n"]][:10]]
        assert all(known_rows(other) is other for other in others)
    copied = X[:10].copy()
    assert known_rows(copied) is copied


def split_table() -> pd.DataFrame:
    """A table whose halves have other columns: of missing numbers, and of few and many categories."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"n": rng.normal(size=90), "m": rng.normal(size=90)})
    frame["some"] = np.where(np.arange(90) < 45, rng.integers(0, 14, 90), rng.integers(0, 4, 90)).astype(str)
    frame.loc[:5, "n"] = np.nan
    frame.loc[80:, "m"] = np.nan
    frame.loc[70:75, "n"] = np.nan
    return frame


@pytest.mark.usefixtures("stacked")
@pytest.mark.parametrize("columns", [["n", "m"], ["n", "m", "some"]], ids=["missing numbers", "categories"])
def test_folds_whose_networks_have_other_inputs_train_together(columns: list[str]) -> None:
    frame = split_table()[columns]
    splits = [(HALVES[1], HALVES[0]), (HALVES[0], HALVES[1])]
    parameters = {"learning_rate": [0.02, 0.005], "n_neurons": [5, 9]}
    ours = GridSearchCV(KerasMLPRegressor(**SHORT), parameters, cv=splits).fit(frame, Y)
    theirs = sklearn.model_selection.GridSearchCV(KerasMLPRegressor(**SHORT), parameters, cv=splits)
    np.testing.assert_allclose(scores(ours), scores(theirs.fit(frame, Y)), atol=TOLERANCE)
    assert len(ours.plan_.groups) == 1
    assert ours.plan_.groups[0].room.spare_columns


def test_a_search_continues_with_networks_of_other_inputs(tmp_path: Path) -> None:
    frame, journal = split_table(), tmp_path / "journal"
    splits = [(HALVES[1], HALVES[0]), (HALVES[0], HALVES[1])]

    def search(parameters: dict[str, Any]) -> Any:
        return GridSearchCV(KerasMLPRegressor(**SHORT), parameters, cv=splits, journal=journal)

    first = search(PARAMETERS).fit(frame, Y)
    np.testing.assert_array_equal(scores(search(PARAMETERS).fit(frame, Y)), scores(first))


def network(estimator: Any) -> Any:
    """The network that a search would train."""
    with pytest.raises(FitSuspended) as suspended, suspending({}):
        estimator.fit(X, Y)
    return suspended.value.fitting.state.network


@pytest.mark.parametrize(
    "options", [{}, {"n_hidden": 2, "dropout": 0.2, "embedding_dim": 3}, {"n_hidden": 0}]
)
def test_initial_weights_are_those_of_a_fit_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    network(KerasMLPRegressor(n_neurons=7, **{**options, "embedding_dim": 5}, **SHORT))  # has a prototype
    estimator = KerasMLPRegressor(n_neurons=7, **options, **SHORT)
    pending = network(estimator)
    assert isinstance(pending, PendingNetwork)
    monkeypatch.setattr("kerashp.estimators._perceptron.pending_network", lambda *_: None)
    built = network(estimator)
    assert isinstance(built, keras.Model)
    for actual, expected in zip(pending.make().weights, built.weights, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (actual, expected)))
    for actual, weight in zip(pending.variant.values[0], built.trainable_variables, strict=True):
        np.testing.assert_array_equal(actual, keras.ops.convert_to_numpy(weight))


def test_other_searches_and_ensembles_take_tables() -> None:
    halving = HalvingGridSearchCV(
        KerasMLPRegressor(**{**SHORT, "epochs": 4}), PARAMETERS, resource="epochs", max_resources=4, cv=2
    ).fit(X, Y)
    assert np.isfinite(halving.best_score_)
    search = RandomizedSearchCV(KerasMLPClassifier(**SHORT), PARAMETERS, n_iter=3, cv=2, random_state=0)
    search.fit(X, LABELS)
    ensemble = search.ensemble(2).fit(X, LABELS)
    assert ensemble.predict_proba(X).shape == (90, 2)
    assert np.isfinite(ensemble.predict_proba(X.assign(few="new", n=np.nan))).all()


def test_a_pipeline_may_return_data_frames() -> None:
    transformer = make_column_transformer((StandardScaler(), ["n"]), remainder="passthrough")
    pipeline = make_pipeline(transformer.set_output(transform="pandas"), KerasMLPRegressor(**SHORT))
    parameters = {f"kerasmlpregressor__{name}": values for name, values in PARAMETERS.items()}
    ours = GridSearchCV(pipeline, parameters, cv=2).fit(X, Y)
    theirs = sklearn.model_selection.GridSearchCV(pipeline, parameters, cv=2).fit(X, Y)
    np.testing.assert_allclose(scores(ours), scores(theirs), atol=TOLERANCE)


def test_missing_numbers_are_taken_and_infinite_ones_refused_before_any_training() -> None:
    numbers = X[["n"]].to_numpy(copy=True)
    search = GridSearchCV(KerasMLPRegressor(**SHORT), {"learning_rate": [0.01]}, cv=2)
    assert np.isfinite(search.fit(numbers, Y).best_score_)
    numbers[0, 0] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity"):
        search.fit(numbers, Y)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        search.fit(X[["n"]].to_numpy(), np.where(Y > 1, np.nan, Y))
