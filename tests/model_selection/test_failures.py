"""What fails in a search: before anything trains where that is known, and each cause once."""

import traceback
from typing import Any

import keras
import numpy as np
import pytest
from scipy.sparse import lil_array
from sklearn import model_selection
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.impute import SimpleImputer
from sklearn.metrics import f1_score, make_scorer, mean_absolute_error, mean_gamma_deviance
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, KerasRegressor, build_model
from kerashp.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    OptunaSearchCV,
    OracleSearchCV,
    RandomizedSearchCV,
)
from kerashp.model_selection._fits.failures import reported, shortened
from kerashp.model_selection._fits.result import FitResult
from kerashp.model_selection._fits.scorers import recording
from kerashp.model_selection._fits.scores import _score_failure
from kerashp.model_selection._running import stacked

MLP = KerasMLPClassifier(epochs=2, random_state=0)
REGRESSOR = KerasMLPRegressor(epochs=2, random_state=0)
WRAPPED = KerasClassifier(build_model, epochs=2, random_state=0)
RATES = {"learning_rate": [0.001, 0.01, 0.1]}


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing trains."""

    def train(*_: Any) -> None:
        raise AssertionError("something has been trained")

    monkeypatch.setattr(stacked.StackedTraining, "train", train)
    monkeypatch.setattr("kerashp.estimators._base.fit", train)


def damaged(array: np.ndarray, value: float) -> np.ndarray:
    array = array.astype(float)
    array[(70, 1)[: array.ndim]] = value
    return array


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("estimator", "value", "words"), [(WRAPPED, np.nan, "NaN"), (MLP, np.inf, "infinity")], ids=["nan", "inf"]
)
@pytest.mark.parametrize("kind", [GridSearchCV, HalvingGridSearchCV, OptunaSearchCV, OracleSearchCV])
def test_rows_that_are_not_finite_are_refused_before_anything_trains(
    iris, kind: Any, estimator: Any, value: float, words: str
) -> None:
    X, y = iris
    search = kind(estimator, RATES, cv=3)
    with pytest.raises(ValueError, match=f"^Input X contains {words}"):
        search.fit(damaged(X, value), y)
    with pytest.raises(ValueError, match=f"^Input X contains {words}"):
        kind(estimator, RATES, cv=3).fit(lil_array(damaged(X, value)), y)
    with pytest.raises(ValueError, match=f"^Input y contains {words}"):
        kind(REGRESSOR, RATES, cv=3).fit(X, damaged(y, value))


def test_missing_numbers_are_data_of_the_perceptrons(iris) -> None:
    search = GridSearchCV(MLP, RATES, cv=3).fit(damaged(iris[0], np.nan), iris[1])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.usefixtures("untrained")
def test_so_are_those_that_no_step_of_a_pipeline_mends(iris) -> None:
    """One split's training rows are finite: its test rows are not, and no candidate can be refitted."""
    X, y = damaged(iris[0], np.nan), iris[1]
    rates = {"kerasclassifier__learning_rate": [0.001, 0.01]}
    search = GridSearchCV(make_pipeline(StandardScaler(), WRAPPED), rates, cv=3)
    with pytest.raises(ValueError, match="^Input X contains NaN") as caught:
        search.fit(X, y)
    assert caught.value.__notes__[0].startswith("In candidate 0, ")
    with pytest.raises(ValueError, match="^Input y contains NaN"):
        search.fit(iris[0], damaged(y, np.nan))


@pytest.mark.filterwarnings("ignore:One or more of the")
def test_a_step_that_mends_them_is_found_among_others(iris) -> None:
    X, y = damaged(iris[0], np.nan), iris[1]
    space = {"simpleimputer": [StandardScaler(), SimpleImputer()]}
    with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 6(.|\n)*Input X contains NaN"):
        search = GridSearchCV(make_pipeline(SimpleImputer(), WRAPPED), space, cv=3).fit(X, y)
    assert search.best_index_ == 1


def test_rows_that_no_split_uses_may_be_anything_where_nothing_is_refitted(iris) -> None:
    X, y = damaged(iris[0], np.nan), iris[1]
    fold = np.random.RandomState(0).randint(0, 2, len(X))
    splits = [
        (np.setdiff1d(np.flatnonzero(fold == part), [70]), np.setdiff1d(np.flatnonzero(fold != part), [70]))
        for part in (0, 1)
    ]
    search = GridSearchCV(MLP, RATES, cv=splits, refit=False).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("kind", [GridSearchCV, HalvingGridSearchCV, OptunaSearchCV, OracleSearchCV])
@pytest.mark.parametrize("error_score", [np.nan, 0.0, "raise"])
def test_a_scorer_that_fails_is_refused_before_anything_trains(iris, kind: Any, error_score: Any) -> None:
    names = np.array(["a", "b"])[1 * (iris[1] > 0)]
    words = "pos_label=1 is not a valid label"
    if error_score != "raise":
        words = f"scorer 'f1' fails on the test rows of all 3 splits, so nothing .*{words}.*make_scorer"
    with pytest.raises(ValueError, match=words):
        kind(MLP, RATES, cv=3, scoring="f1", error_score=error_score).fit(iris[0], names)


class Watching(keras.callbacks.Callback):
    """Fits that have one train one by one."""


@pytest.mark.usefixtures("untrained")
def test_the_candidate_that_it_is_tried_on_is_one_that_can_be_fitted(iris) -> None:
    names = np.array(["a", "b"])[1 * (iris[1] > 0)]
    space = {"learning_rate": [-1.0, 0.1], "callbacks": [None, [Watching()]]}
    for grid in (space, {"callbacks": [[Watching()]]}):
        with pytest.raises(ValueError, match="scorer 'f1' fails on the test rows of all 3 splits"):
            GridSearchCV(MLP, grid, cv=3, scoring="f1").fit(iris[0], names)


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("estimator", "scoring", "words"),
    [
        (MLP, "precision", "multiclass but average='binary'"),
        (KerasClassifier(), make_scorer(f1_score), "multiclass but average='binary'"),
        (
            make_pipeline(StandardScaler(), REGRESSOR),
            make_scorer(mean_absolute_error, unknown=1, greater_is_better=False),
            "unexpected keyword argument 'unknown'",
        ),
    ],
)
def test_the_message_is_the_scorers_own(iris, estimator: Any, scoring: Any, words: str) -> None:
    prefix = "kerasmlpregressor__" if hasattr(estimator, "steps") else ""
    search = GridSearchCV(estimator, {f"{prefix}epochs": [1, 2]}, cv=3, scoring=scoring)
    with pytest.raises(ValueError, match=words):
        search.fit(*iris)


@pytest.mark.filterwarnings("ignore:One or more of the")
def test_predictions_that_fail_for_one_candidate_stop_no_other() -> None:
    X, y = np.arange(60).astype(str)[:, None], np.arange(60) % 2
    pipeline = make_pipeline(OneHotEncoder(sparse_output=False), MLP)
    space = {"onehotencoder__handle_unknown": ["error", "ignore"]}
    with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 6(.|\n)*unknown categories"):
        search = GridSearchCV(pipeline, space, cv=3, scoring="accuracy").fit(X, y)
    assert search.best_index_ == 1


def test_a_scorer_is_tried_with_predictions_as_good_as_any(diabetes) -> None:
    """Of the network's own targets, which something around it may transform."""
    X, y = diabetes[0][:90], np.exp(diabetes[1][:90])
    scorer = make_scorer(mean_gamma_deviance, greater_is_better=False)
    log = TransformedTargetRegressor(REGRESSOR, func=np.log, inverse_func=np.exp)
    search = GridSearchCV(log, {"regressor__learning_rate": [0.01, 0.03]}, cv=3, scoring=scorer).fit(X, y)
    assert search.best_score_ < 0


def logits() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    return model


@pytest.mark.slow
@pytest.mark.parametrize("scoring", ["roc_auc", "neg_log_loss", "neg_brier_score", "f1", None])
@pytest.mark.parametrize("classifier", [MLP, KerasClassifier(), KerasClassifier(logits)])
def test_the_trial_changes_no_result(binary, scoring: Any, classifier: Any) -> None:
    classifier.set_params(random_state=0, epochs=2)
    actual, expected = [
        kind(classifier, {"batch_size": [20, 30]}, cv=3, scoring=scoring).fit(*binary)
        for kind in (GridSearchCV, model_selection.GridSearchCV)
    ]
    np.testing.assert_allclose(
        actual.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], rtol=1e-4
    )


def test_scorers_of_ones_own_are_called_once_a_fit(iris) -> None:
    calls: list[int] = []

    def score(*_: Any) -> float:
        calls.append(1)
        return 1.0

    GridSearchCV(MLP, RATES, cv=3, scoring=score).fit(*iris)
    assert len(calls) == 9


@pytest.mark.filterwarnings("ignore:One or more of the")
def test_one_of_several_scorers_that_fails_is_reported_once(iris) -> None:
    names = np.array(["a", "b"])[1 * (iris[1] > 0)]
    search = GridSearchCV(
        MLP, RATES, cv=3, scoring={"right": "accuracy", "wrong": "f1"}, refit="right", return_train_score=True
    )
    with pytest.warns(FitFailedWarning) as caught:
        search.fit(iris[0], names)
    messages = [str(warning.message) for warning in caught if warning.category is FitFailedWarning]
    assert len(messages) == 1
    assert messages[0].startswith(
        "9 of 9 fits have error_score=nan in place of a score:\nThe scorer of 'wrong'"
    )
    assert "pos_label=1 is not a valid label" in messages[0]
    assert "learning rate" not in messages[0]
    assert "kerashp" not in messages[0]
    assert np.isnan(search.cv_results_["mean_test_wrong"]).all()
    assert np.isfinite(search.cv_results_["mean_test_right"]).all()


def test_a_scorer_that_fails_for_train_rows_alone_costs_no_test_score(iris) -> None:
    def score(_: Any, X: Any, y: Any) -> float:
        if len(X) == 100:
            raise ValueError("too many rows")
        return float(len(y))

    search = GridSearchCV(MLP, RATES, cv=3, scoring=score, return_train_score=True, error_score=-1.0)
    with pytest.warns(FitFailedWarning, match="9 of 9 fits have error_score=-1.0(.|\n)*too many rows"):
        search.fit(*iris)
    assert (search.cv_results_["mean_test_score"] == 50).all()
    assert (search.cv_results_["mean_train_score"] == -1).all()


@pytest.mark.filterwarnings("ignore:One or more of the")
def test_a_scorer_that_fails_for_one_candidate_costs_no_other(iris) -> None:
    def failing(estimator: Any, *_: Any) -> float:
        if estimator.learning_rate == 0.001:
            raise ValueError(f"not at {estimator.learning_rate}")
        return 1.0

    scoring = {"right": "accuracy", "wrong": failing}
    search = GridSearchCV(MLP, RATES, cv=3, scoring=scoring, refit="right")
    with pytest.warns(FitFailedWarning, match="^3 of 9 fits have (.|\n)*'wrong' failed:(.|\n)*not at 0.001"):
        search.fit(*iris)
    assert np.isnan(search.cv_results_["mean_test_wrong"]).tolist() == [True, False, False]
    assert search.cv_results_["rank_test_wrong"].tolist() == [3, 1, 1]


def test_fits_that_diverge_at_different_epochs_have_one_cause(iris) -> None:
    """Their losses are infinite or no numbers, from different epochs on."""
    estimator = KerasMLPRegressor(optimizer="sgd", epochs=60, random_state=0)
    space = {"learning_rate": [0.001, 4.0, 1e2, 1e10, 1e30]}
    search = RandomizedSearchCV(estimator, space, n_iter=5, cv=2, error_score=-1e9, random_state=0)
    with pytest.warns(FitFailedWarning) as caught:
        search.fit(iris[0], 1.0 + iris[1])
    (text,) = [str(warning.message) for warning in caught if warning.category is FitFailedWarning]
    assert text.count("Training diverged") == 1
    assert "8 fits failed with the following error:\n(Their messages differ only in numbers" in text
    assert "Traceback" not in text
    assert len(text.splitlines()) < 12


def test_a_rate_is_blamed_only_where_the_loss_diverged(iris) -> None:
    def score(*_: Any) -> float:
        return np.nan

    with pytest.raises(ValueError, match="All the 9 fits failed(.|\n)*score is nan") as caught:
        GridSearchCV(MLP, RATES, cv=3, scoring=score).fit(*iris)
    assert "learning rate" not in str(caught.value)
    words = _score_failure({"test_scores": ["score is nan"]}, {"loss": [1.0, np.nan]})
    assert words.endswith("The training loss is not finite either: lower the learning rate.")


def test_frames_of_the_users_own_stay_in_a_traceback() -> None:
    def own(*_: Any) -> float:
        raise KeyError("mine")

    recorder = recording(own, 0.0)
    assert recorder(1, 2) == 0.0
    (error,) = recorder.errors[0].values()
    assert "scorers.py" in error
    short = shortened(error)
    assert "scorers.py" not in short
    assert 'raise KeyError("mine")' in short
    assert short.startswith("Traceback")
    try:
        own()
    except KeyError:
        assert shortened(traceback.format_exc()) == traceback.format_exc().strip()


def test_errors_that_differ_in_words_stay_apart() -> None:
    texts = ["ValueError: at 1.5e-3", "ValueError: at nan", "ValueError: in 2", "ValueError: at 2"]
    results = reported([FitResult(0.0, fit_error=text) for text in [*texts, None]], 0.0)
    errors = [result.fit_error for result in results]
    assert errors[0] == errors[1] == errors[3]
    assert errors[0].endswith("\nValueError: at 1.5e-3")
    assert errors[2:] == ["ValueError: in 2", errors[0], None]


def test_a_score_of_positive_predictions_is_tried_with_such() -> None:
    def positive() -> keras.Model:
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "exponential")])

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.poisson(1.0, 60)
    estimator = KerasRegressor(positive, loss="poisson", epochs=2, random_state=0)
    search = GridSearchCV(estimator, {"epochs": [1, 2]}, cv=3, scoring="neg_mean_poisson_deviance")
    assert np.isfinite(search.fit(X, y).cv_results_["mean_test_score"]).all()
