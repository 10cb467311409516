"""The estimators inside scikit-learn's own tools: pipelines, ensembles, searches, inspection."""

import functools

import joblib
import keras
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, StackingRegressor, VotingClassifier
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import get_scorer, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    StratifiedKFold,
    check_cv,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, scale
from sklearn.utils.validation import check_is_fitted

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, KerasRegressor
from kerashp.spaces import loguniform

NAMES = ["length", "width", "height", "depth"]
SPECIES = np.array(["setosa", "versicolor", "virginica"], dtype=object)


def build(n_units=16, input_shape=(4,), n_outputs=1, task="regression"):
    """An uncompiled network: the estimators choose its loss."""
    activation = {"binary": "sigmoid", "multiclass": "softmax"}.get(task)
    layers = [keras.layers.Dense(n_units, "relu"), keras.layers.Dense(n_outputs, activation)]
    return keras.Sequential([keras.Input(input_shape), *layers])


# SGD has the least to trace, and many short steps cost less than many epochs.
TRAINING = {"optimizer": "sgd", "epochs": 2, "batch_size": 4, "random_state": 0}
FAST, SLOW = 0.2, 0.05  # learning rates: the gradients of a squared error know no bound

# Templates, never fitted themselves: each test clones or composes them.
WRAPPED_CLASSIFIER = KerasClassifier(build, optimizer__learning_rate=FAST, **TRAINING)
WRAPPED_REGRESSOR = KerasRegressor(build, optimizer__learning_rate=SLOW, **TRAINING)
MLP_CLASSIFIER = KerasMLPClassifier(n_neurons=16, learning_rate=FAST, **TRAINING)
MLP_REGRESSOR = KerasMLPRegressor(n_neurons=16, learning_rate=SLOW, **TRAINING)
CLASSIFIERS = [WRAPPED_CLASSIFIER, MLP_CLASSIFIER]
REGRESSORS = [WRAPPED_REGRESSOR, MLP_REGRESSOR]


def each(estimators):
    return pytest.mark.parametrize("estimator", estimators, ids=lambda estimator: type(estimator).__name__)


@pytest.fixture(scope="module")
def numbers():
    """120 rows, 4 scaled features of which the last two say nothing, and an almost linear target."""
    rng = np.random.default_rng(0)
    X = scale(rng.normal(size=(120, 4)))
    return X, X @ [1.0, -0.5, 0.0, 0.0] + 0.05 * rng.normal(size=120)


@pytest.fixture
def rows(estimator, iris, numbers):
    """X and y for the test's estimator."""
    return iris if is_classifier(estimator) else numbers


@pytest.fixture(scope="module")
def weights():
    """Of 150 rows, the last third counts a hundredth of the others."""
    return np.r_[np.ones(100), np.full(50, 0.01)]


@pytest.fixture(scope="module")
def trained(iris, numbers):
    """A template's fit on all rows; shared between tests, which leave it as it is."""

    @functools.cache
    def fit(template):
        return clone(template).fit(*(iris if is_classifier(template) else numbers))

    return fit


@pytest.fixture
def fitted(estimator, trained):
    """The test's estimator fitted on `rows`."""
    return trained(estimator)


@pytest.fixture
def labels_of_fits(monkeypatch):
    """The labels that each fit of a classifier was given, in order."""
    seen = []

    def noting(fit):
        @functools.wraps(fit)
        def noted(self, X, y, *args, **kwargs):
            seen.append(np.asarray(y))
            return fit(self, X, y, *args, **kwargs)

        return noted

    for classifier in (KerasClassifier, KerasMLPClassifier):
        monkeypatch.setattr(classifier, "fit", noting(classifier.fit))
    return seen


def outputs(estimator, X):
    given = estimator.predict_proba(X) if is_classifier(estimator) else estimator.predict(X)
    assert np.all(np.isfinite(given))  # two NaN would pass for equal
    return given


def assert_stratified(labels, y, cv):
    """Each fit's labels have the classes of all but one of `cv` folds, in the shares of y."""
    for of_fit in labels:
        share = np.array([np.sum(of_fit == label) for label in np.unique(y)]) / np.unique_counts(y).counts
        assert_allclose(share, (cv - 1) / cv, atol=0.02)
        assert set(np.unique(of_fit)) == set(np.unique(y))


# What the estimators are.


@each([*CLASSIFIERS, *REGRESSORS])
def test_tools_see_what_an_estimator_is(estimator):
    classifies = isinstance(estimator, KerasClassifier | KerasMLPClassifier)
    pipeline = make_pipeline(StandardScaler(), estimator)
    search = GridSearchCV(pipeline, {})
    assert [is_classifier(e) for e in (estimator, pipeline, search)] == [classifies] * 3
    assert [is_regressor(e) for e in (estimator, pipeline, search)] == [not classifies] * 3


@each([*CLASSIFIERS, *REGRESSORS])
def test_splitter_is_stratified_for_classifiers_only(estimator, rows):
    splitter = check_cv(3, rows[1], classifier=is_classifier(estimator))
    assert type(splitter) is (StratifiedKFold if estimator in CLASSIFIERS else KFold)


@each([*CLASSIFIERS, *REGRESSORS])
def test_clone_keeps_parameters_and_nothing_learned(estimator, fitted):
    changed = {"epochs": 7, "validation_fraction": 0.25, "random_state": 3, "early_stopping": True}
    if hasattr(estimator, "n_neurons"):
        changed |= {"n_neurons": (8, 4), "dropout": 0.5, "dtype": "float64"}
    else:
        changed |= {"n_units": 8, "optimizer__learning_rate": 0.5, "loss": "mse", "validation_split": 0.1}
    if is_classifier(estimator):
        changed["class_weight"] = {0: 1.0, 1: 2.0}
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params() == estimator.get_params()
    copy = clone(copy.set_params(**changed))
    assert copy.get_params() == {**estimator.get_params(), **changed}
    with pytest.raises(NotFittedError):
        check_is_fitted(copy)
    check_is_fitted(fitted)


@each([*CLASSIFIERS, *REGRESSORS])
def test_html_shows_class_and_state(estimator, fitted):
    name = type(estimator).__name__
    with config_context(display="diagram"):
        assert not_fitted(clone(estimator)._repr_html_())
        assert not not_fitted(fitted._repr_html_())
        page = make_pipeline(StandardScaler(), clone(estimator))._repr_html_()
    assert name in page
    assert "StandardScaler" in page
    assert "epochs" in page
    assert name in fitted._repr_mimebundle_()["text/plain"]


def not_fitted(page):
    return "Not fitted" in page


# Pipelines and frames.


@each([*CLASSIFIERS, *REGRESSORS])
def test_pipeline_trains_on_what_the_step_before_gives(estimator, rows, fitted, tmp_path):
    scaled, y = rows
    X = 100 + 50 * scaled
    pipeline = Pipeline([("scale", StandardScaler()), ("net", clone(estimator))]).fit(X, y)
    assert_array_equal(outputs(pipeline, X), outputs(pipeline["net"], pipeline["scale"].transform(X)))
    assert_allclose(outputs(pipeline, X), outputs(fitted, scaled), atol=1e-3)
    assert pipeline.score(X, y) > 0.8
    pipeline.set_params(net__epochs=5)
    assert pipeline["net"].epochs == 5

    joblib.dump(pipeline, tmp_path / "pipeline.joblib")
    again = joblib.load(tmp_path / "pipeline.joblib")
    assert_array_equal(outputs(again, X), outputs(pipeline, X))
    assert again.get_params()["net__epochs"] == 5


@each([WRAPPED_CLASSIFIER, MLP_REGRESSOR])
def test_column_transformer_before_an_estimator(estimator, rows):
    X, y = rows
    frame = pd.DataFrame(X, columns=NAMES)
    frame["colour"] = np.where(X[:, 0] > 0, "red", "blue")
    frame["note"] = "never used"
    columns = ColumnTransformer(
        [
            ("number", StandardScaler(), NAMES),
            ("colour", OneHotEncoder(sparse_output=False), ["colour"]),
        ],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    pipeline = make_pipeline(columns, clone(estimator)).fit(frame, y)
    assert pipeline.score(frame, y) > 0.8
    assert pipeline[-1].n_features_in_ == 6
    assert_array_equal(pipeline[-1].feature_names_in_, [*NAMES, "colour_blue", "colour_red"])
    reordered = frame[["note", "colour", *reversed(NAMES)]]
    assert_array_equal(outputs(pipeline, reordered), outputs(pipeline, frame))


@pytest.mark.parametrize("frame_of", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
@each([*CLASSIFIERS, *REGRESSORS])
def test_frame_gives_what_the_array_gives(estimator, frame_of, rows, fitted):
    X, y = rows
    frame = frame_of(dict(zip(NAMES, X.T, strict=True)))
    named = clone(estimator).fit(frame, y)
    assert_array_equal(named.feature_names_in_, NAMES)
    assert not hasattr(fitted, "feature_names_in_")
    assert_array_equal(outputs(named, frame), outputs(fitted, X))
    with pytest.raises(ValueError, match="feature names should match"):
        named.predict(frame[list(reversed(NAMES))])


@pytest.mark.parametrize(
    "series",
    [
        pd.Series,
        lambda y: pd.Series(pd.Categorical(y, categories=SPECIES[::-1])),
        lambda y: pl.Series("y", y.tolist()),
        lambda y: pl.Series("y", y.tolist(), dtype=pl.Categorical),
        lambda y: pl.Series("y", y.tolist(), dtype=pl.Enum(SPECIES[::-1])),
    ],
    ids=["pandas", "pandas-categorical", "polars", "polars-categorical", "polars-enum"],
)
def test_classifier_takes_a_series_of_labels(series, iris, trained):
    X, y = iris
    classifier = clone(MLP_CLASSIFIER).fit(X, series(SPECIES[y]))
    of_integers = trained(MLP_CLASSIFIER)
    assert_array_equal(classifier.classes_, SPECIES)
    assert_array_equal(classifier.predict_proba(X), of_integers.predict_proba(X))
    assert_array_equal(classifier.predict(X), SPECIES[of_integers.predict(X)])
    assert classifier.score(X, series(SPECIES[y])) == of_integers.score(X, y) > 0.8


def test_wrapped_classifier_takes_a_categorical_series(iris, trained):
    X, y = iris
    classifier = clone(WRAPPED_CLASSIFIER).fit(X, pd.Series(SPECIES[y], dtype="category"))
    assert_array_equal(classifier.predict(X), SPECIES[trained(WRAPPED_CLASSIFIER).predict(X)])


@each(REGRESSORS)
def test_regressor_takes_a_series(estimator, rows, fitted):
    X, y = rows
    series = {KerasRegressor: pd.Series, KerasMLPRegressor: pl.Series}[type(estimator)]
    regressor = clone(estimator).fit(X, series(y))
    assert_array_equal(regressor.predict(X), fitted.predict(X))
    assert regressor.score(X, series(y)) == fitted.score(X, y) > 0.8


# Estimators around estimators.


@each(REGRESSORS)
def test_transformed_target_regressor_scales_the_target_back(estimator, numbers):
    X, y = numbers
    y = 5000 + 1000 * y
    regressor = TransformedTargetRegressor(clone(estimator), transformer=StandardScaler()).fit(X, y)
    scaler = StandardScaler().fit(y[:, None])
    direct = clone(estimator).fit(X, scaler.transform(y[:, None]).ravel())
    assert_allclose(regressor.predict(X), scaler.inverse_transform(direct.predict(X)[:, None]).ravel())
    assert regressor.score(X, y) > 0.8


def test_transformed_target_regressor_with_two_targets(numbers):
    X, y = numbers
    Y = np.c_[5000 + 1000 * y, X[:, 1] - 7]
    regressor = TransformedTargetRegressor(clone(MLP_REGRESSOR), transformer=StandardScaler()).fit(X, Y)
    assert regressor.predict(X).shape == Y.shape
    assert regressor.score(X, Y) > 0.8


def test_calibrated_classifier_calibrates_each_fold(iris, labels_of_fits):
    X, y = iris
    calibrated = CalibratedClassifierCV(clone(MLP_CLASSIFIER), cv=3).fit(X, SPECIES[y])
    assert len(labels_of_fits) == 3
    assert_stratified(labels_of_fits, SPECIES[y], 3)
    proba = calibrated.predict_proba(X)
    assert_allclose(proba.sum(axis=1), 1)
    assert_array_equal(calibrated.classes_, SPECIES)
    assert log_loss(y, proba) < np.log(3) / 2
    assert calibrated.score(X, SPECIES[y]) > 0.8


def test_calibrated_classifier_of_a_fold_starts_from_the_network(binary):
    X, y = binary
    calibrated = CalibratedClassifierCV(clone(WRAPPED_CLASSIFIER), cv=2, ensemble=False).fit(X, y)
    (inner,) = calibrated.calibrated_classifiers_
    margin = inner.estimator.decision_function(X)
    order = np.argsort(margin)
    assert_array_equal(inner.estimator.predict(X), (margin > 0).astype(int))
    assert np.all(np.diff(calibrated.predict_proba(X)[order, 1]) >= 0)
    assert calibrated.score(X, y) > 0.8


def test_voting_classifier_takes_the_mean_of_probabilities(iris):
    X, y = iris
    members = [("keras", WRAPPED_CLASSIFIER), ("mlp", MLP_CLASSIFIER), ("logistic", LogisticRegression())]
    voting = VotingClassifier(members, voting="soft").fit(X, SPECIES[y])
    each_proba = [member.predict_proba(X) for member in voting.estimators_]
    assert_allclose(voting.predict_proba(X), np.mean(each_proba, axis=0))
    assert np.abs(each_proba[0] - each_proba[1]).max() > 1e-3
    assert_array_equal(voting.predict(X), SPECIES[np.mean(each_proba, axis=0).argmax(axis=1)])
    assert voting.score(X, SPECIES[y]) > 0.8


def test_stacking_regressor_learns_from_predictions_of_unseen_rows(numbers):
    X, y = numbers
    stacking = StackingRegressor([("net", MLP_REGRESSOR), ("ridge", Ridge())], Ridge(alpha=1e-6), cv=2)
    stacking.fit(X, y)
    assert_array_equal(stacking.transform(X)[:, 0], stacking.named_estimators_["net"].predict(X))
    unseen = [cross_val_predict(clone(member), X, y, cv=2) for member in (MLP_REGRESSOR, Ridge())]
    assert_allclose(stacking.final_estimator_.coef_, Ridge(alpha=1e-6).fit(np.transpose(unseen), y).coef_)
    assert stacking.score(X, y) > 0.8


@each(CLASSIFIERS)
def test_bagging_classifier_gives_each_member_its_rows_and_seed(estimator, iris):
    X, y = iris
    bagging = BaggingClassifier(clone(estimator), n_estimators=2, random_state=0).fit(X, SPECIES[y])
    one, other = bagging.estimators_
    assert one.random_state != other.random_state
    assert_allclose(bagging.predict_proba(X), (one.predict_proba(X) + other.predict_proba(X)) / 2)
    assert np.abs(one.predict_proba(X) - other.predict_proba(X)).max() > 1e-3
    assert bagging.score(X, SPECIES[y]) > 0.8
    if estimator is MLP_CLASSIFIER:
        drawn = np.bincount(bagging.estimators_samples_[0], minlength=len(X))
        again = clone(one).fit(X, y, sample_weight=drawn)
        assert_array_equal(again.predict_proba(X), one.predict_proba(X))


def test_multioutput_classifier_fits_a_network_a_column(iris):
    X, y = iris
    Y = np.c_[SPECIES[y], np.where(X[:, 0] > 0, "long", "short").astype(object)]
    several = MultiOutputClassifier(clone(MLP_CLASSIFIER)).fit(X, Y)
    assert [list(e.classes_) for e in several.estimators_] == [list(SPECIES), ["long", "short"]]
    assert [proba.shape for proba in several.predict_proba(X)] == [(150, 3), (150, 2)]
    assert_array_equal(several.predict(X)[:, 1], several.estimators_[1].predict(X))
    assert np.mean(several.predict(X) == Y, axis=0).min() > 0.8


# Cross-validation and searches.


@each(CLASSIFIERS)
def test_cross_val_predict_gives_probabilities_of_unseen_rows(estimator, iris, labels_of_fits):
    X, y = iris
    proba = cross_val_predict(clone(estimator), X, SPECIES[y], cv=3, method="predict_proba")
    assert len(labels_of_fits) == 3
    assert_stratified(labels_of_fits, y, 3)  # cross_val_predict encodes the labels
    assert_allclose(proba.sum(axis=1), 1)
    assert np.mean(proba.argmax(axis=1) == y) > 0.8
    train, test = next(StratifiedKFold(3).split(X, y))
    assert_array_equal(proba[test], clone(estimator).fit(X[train], y[train]).predict_proba(X[test]))


def test_cross_val_predict_of_a_regressor(numbers):
    X, y = numbers
    predicted = cross_val_predict(clone(WRAPPED_REGRESSOR), X, y, cv=2)
    train, test = next(KFold(2).split(X))
    direct = clone(WRAPPED_REGRESSOR).fit(X[train], y[train])
    assert predicted.shape == y.shape
    assert_array_equal(predicted[test], direct.predict(X[test]))


def test_learning_curve_has_a_score_for_each_size_and_fold(iris, labels_of_fits):
    X, y = iris
    sizes, train, test = learning_curve(
        clone(MLP_CLASSIFIER), X, y, train_sizes=[0.2, 1.0], cv=2, shuffle=True, random_state=0
    )
    assert_array_equal(sizes, [15, 75])
    assert sorted(len(labels) for labels in labels_of_fits) == [15, 15, 75, 75]
    assert_stratified([labels for labels in labels_of_fits if len(labels) == 75], y, 2)
    assert train.shape == test.shape == (2, 2)
    assert np.all((train > 0) & (train <= 1))
    assert test[-1].mean() > 0.8


def test_learning_curve_of_one_network_that_goes_on(binary):
    order = np.random.default_rng(0).permutation(100)
    X, y = (array[order] for array in binary)
    classifier = clone(MLP_CLASSIFIER)
    sizes, _, test = learning_curve(
        classifier, X, y, train_sizes=[20, 50], cv=2, exploit_incremental_learning=True
    )
    train, held_out = next(StratifiedKFold(2).split(X, y))
    cut, rest = np.split(train, [20])
    classifier.partial_fit(X[cut], y[cut], classes=[0, 1]).partial_fit(X[rest], y[rest])
    assert_array_equal(sizes, [20, 50])
    assert classifier.score(X[held_out], y[held_out]) == test[1, 0]


@each(CLASSIFIERS)
def test_grid_search_by_roc_auc(estimator, binary, labels_of_fits):
    X, y = binary
    size = "n_units" if estimator is WRAPPED_CLASSIFIER else "n_neurons"
    pipeline = Pipeline([("scale", StandardScaler()), ("net", clone(estimator))])
    search = GridSearchCV(
        pipeline, {f"net__{size}": [1, 8]}, scoring="roc_auc", cv=2, return_train_score=True
    )
    search.fit(X, np.array(["versicolor", "virginica"])[y])
    assert len(labels_of_fits) == 2 * 2 + 1
    assert_stratified(labels_of_fits[:-1], search.classes_[y], 2)
    for key in ("mean_test_score", "split0_test_score", "mean_train_score"):
        assert np.all(np.isfinite(search.cv_results_[key]))
        assert np.all(search.cv_results_[key] <= 1)
    assert search.best_score_ > 0.8
    assert getattr(search.best_estimator_["net"], size) == search.best_params_[f"net__{size}"]
    assert len(np.unique(search.cv_results_["mean_test_score"])) == 2
    assert search.score(X, search.classes_[y]) > 0.8


@each(CLASSIFIERS)
@pytest.mark.parametrize("average", ["ovr", "ovo"])
def test_roc_auc_scorer_takes_three_classes(average, rows, fitted):
    assert 0.9 < get_scorer(f"roc_auc_{average}")(fitted, *rows) <= 1


@pytest.mark.slow
def test_random_search_in_two_processes_equals_one(iris):
    X, y = iris
    pipeline = Pipeline([("scale", StandardScaler()), ("net", clone(MLP_CLASSIFIER))])
    space = {"net__learning_rate": loguniform(1e-3, 1e-1), "net__n_neurons": [4, 16]}
    one, two = (
        RandomizedSearchCV(
            pipeline,
            space,
            n_iter=2,
            cv=2,
            scoring="neg_log_loss",
            random_state=0,
            n_jobs=n_jobs,
            refit=False,
        ).fit(X, SPECIES[y])
        for n_jobs in (1, 2)
    )
    assert one.cv_results_["params"] == two.cv_results_["params"]
    for key in ("split0_test_score", "split1_test_score", "rank_test_score"):
        assert_allclose(two.cv_results_[key], one.cv_results_[key], rtol=1e-6)
    assert len(np.unique(one.cv_results_["mean_test_score"])) == 2
    assert two.cv_results_["mean_test_score"].max() > -np.log(3) / 2


# Metadata routing.


@each([WRAPPED_CLASSIFIER, MLP_REGRESSOR])
def test_pipeline_routes_weights_to_the_network(estimator, rows, fitted, weights):
    X, y = rows
    weights = weights[-len(X) :]
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler(with_mean=False, with_std=False).set_fit_request(sample_weight=False)
        net = clone(estimator).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(scaler, net).fit(X, y, sample_weight=weights)
    direct = clone(estimator).fit(X, y, sample_weight=weights)
    assert_array_equal(outputs(pipeline, X), outputs(direct, X))
    assert np.abs(outputs(pipeline, X) - outputs(fitted, X)).max() > 0.01


@each([MLP_CLASSIFIER, WRAPPED_REGRESSOR])
def test_cross_validate_routes_weights_to_fit_and_score(estimator, rows, weights):
    X, y = rows
    weights = np.random.default_rng(0).permutation(weights[-len(X) :])
    with config_context(enable_metadata_routing=True):
        net = clone(estimator).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        results = cross_validate(
            net, X, y, cv=2, params={"sample_weight": weights}, return_estimator=True, return_indices=True
        )
    train, test = (results["indices"][part][0] for part in ("train", "test"))
    of_fold = results["estimator"][0]
    direct = clone(estimator).fit(X[train], y[train], sample_weight=weights[train])
    unweighted = clone(estimator).fit(X[train], y[train])
    assert_array_equal(outputs(of_fold, X), outputs(direct, X))
    assert np.abs(outputs(of_fold, X) - outputs(unweighted, X)).max() > 0.01
    assert results["test_score"][0] == direct.score(X[test], y[test], sample_weight=weights[test])
    assert results["test_score"][0] != direct.score(X[test], y[test])


@each([*CLASSIFIERS, *REGRESSORS])
def test_weights_that_nobody_asked_for_are_refused(estimator, rows, weights):
    X, y = rows
    weights = weights[-len(X) :]
    with config_context(enable_metadata_routing=True):
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            make_pipeline(clone(estimator)).fit(X, y, sample_weight=weights)
        requested = clone(estimator).set_fit_request(sample_weight=True, validation_data=True)
        request = clone(requested).get_metadata_routing().fit.requests
    assert (request["sample_weight"], request["validation_data"], request["epochs"]) == (True, True, None)


# Inspection.


@each([MLP_CLASSIFIER, WRAPPED_REGRESSOR])
def test_permutation_importance_finds_what_matters(estimator, rows):
    X, y = rows
    said = X[:, 2:] if is_classifier(estimator) else X[:, :2]
    X = np.c_[np.random.default_rng(1).normal(size=said.shape), said]
    fitted = clone(estimator).fit(X, y)
    importance = permutation_importance(fitted, X, y, n_repeats=3, random_state=0).importances_mean
    assert importance[2:].min() > 0.1
    assert importance[2:].min() > 2 * np.abs(importance[:2]).max()
