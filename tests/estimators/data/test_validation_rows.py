"""Rows to validate on that are passed to `fit`, alone and through pipelines."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor
from kerashp.estimators._data.validation_rows import unlike_columns, warn_of_unlike_rows
from kerashp.model_selection import GridSearchCV

X, Y = load_iris(return_X_y=True)
TRAIN, VALID = (X[::2], Y[::2]), (X[1::2], Y[1::2])
ESTIMATORS = [
    KerasMLPClassifier(epochs=10, learning_rate=0.03, random_state=0),
    KerasClassifier(epochs=10, learning_rate=0.03, random_state=0),
]
SAID = "in [34] of 4 columns .*steps of a Pipeline are not applied.*early_stopping=True.*transform_input"


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def scaling(estimator: Any, **params: Any) -> Pipeline:
    return Pipeline([("scale", StandardScaler()), ("net", clone(estimator))], **params)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_raw_rows_to_validate_on_are_warned_of_in_a_scaling_pipeline(estimator: Any) -> None:
    with pytest.warns(UserWarning, match=SAID) as caught:
        fitted = scaling(estimator).fit(*TRAIN, net__validation_data=VALID)
    assert sum("another scale" in str(warning.message) for warning in caught) == 1
    by_hand = StandardScaler().fit(TRAIN[0]).transform
    scaled = clone(estimator).fit(by_hand(TRAIN[0]), TRAIN[1], validation_data=(by_hand(VALID[0]), VALID[1]))
    assert fitted[-1].history_["val_loss"][-1] > 1.5 * scaled.history_["val_loss"][-1]


def test_a_search_warns_of_them_once_before_anything_trains() -> None:
    search = GridSearchCV(scaling(ESTIMATORS[0]), {"net__learning_rate": [0.01, 0.03]}, cv=3, refit=False)
    with pytest.warns(UserWarning, match=SAID) as caught:
        search.fit(*TRAIN, net__validation_data=VALID)
    assert sum("another scale" in str(warning.message) for warning in caught) == 1


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_transform_input_applies_the_steps_to_rows_to_validate_on(estimator: Any) -> None:
    by_hand = StandardScaler().fit(TRAIN[0]).transform
    expected = clone(estimator).fit(
        by_hand(TRAIN[0]), TRAIN[1], validation_data=(by_hand(VALID[0]), VALID[1])
    )
    asking = clone(estimator).set_fit_request(X_val=True, y_val=True)
    pipeline = scaling(asking, transform_input=["X_val"]).fit(*TRAIN, X_val=VALID[0], y_val=VALID[1])
    np.testing.assert_allclose(pipeline[-1].history_["val_loss"], expected.history_["val_loss"], rtol=1e-5)


@pytest.mark.usefixtures("routing")
def test_so_it_does_in_a_search_for_each_split() -> None:
    asking = clone(ESTIMATORS[0]).set_fit_request(X_val=True, y_val=True)
    pipeline = scaling(asking, transform_input=["X_val"])
    validation = {"X_val": VALID[0][:70], "y_val": VALID[1][:70]}
    search = GridSearchCV(pipeline, {"net__epochs": [4, 8]}, cv=3).fit(*TRAIN, **validation)
    assert len(search.plan_.groups) == 1
    for split, (rows, _) in enumerate(check_cv(3, TRAIN[1], classifier=True).split(*TRAIN)):
        alone = clone(pipeline).set_params(net__epochs=8).fit(TRAIN[0][rows], TRAIN[1][rows], **validation)
        np.testing.assert_allclose(
            search.histories_[1][split]["val_loss"], alone[-1].history_["val_loss"], rtol=1e-3
        )


def test_rows_apart_are_validation_data() -> None:
    estimator = KerasMLPRegressor(epochs=3, random_state=0)
    X, y = load_diabetes(return_X_y=True, scaled=True)
    y, weight = y / y.std(), np.linspace(0, 1, 142)
    together = clone(estimator).fit(X[:300], y[:300], validation_data=(X[300:], y[300:], weight))
    apart = {"X_val": X[300:], "y_val": y[300:], "sample_weight_val": weight}
    assert clone(estimator).fit(X[:300], y[:300], **apart).history_ == together.history_


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ({"validation_data": VALID, "X_val": VALID[0]}, "got both validation_data and X_val; pass one"),
        ({"X_val": VALID[0]}, "got X_val without y_val; validation needs X_val and y_val"),
        ({"sample_weight_val": VALID[1], "y_val": VALID[1]}, "y_val, sample_weight_val without X_val"),
    ],
)
def test_rows_apart_are_whole_and_not_twice(validation: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        ESTIMATORS[0].fit(*TRAIN, **validation)


def test_rows_that_a_step_did_not_move_far_are_not_warned_of() -> None:
    """Nor are those of another class, of another time, one row, or of pixels that are often constant."""
    make_pipeline(MinMaxScaler(), ESTIMATORS[0]).fit(
        X / X.max(axis=0), Y, kerasmlpclassifier__validation_data=(X / X.max(axis=0), Y)
    )
    rng = np.random.RandomState(0)
    for shift in (0.0, 2.0):
        ours, others = rng.normal(size=(500, 6)), rng.normal(shift, 2, size=(90, 6))
        assert not unlike_columns(ours, others).any()
    assert unlike_columns(ours, others[:1]).size == 0
    images = rng.randint(0, 2, size=(50, 4, 4, 1))
    images[:, 0] = 0
    assert unlike_columns(images, images[:20]).tolist() == [False] * 12
    assert unlike_columns(images / 255, images[:20]).tolist() == [True] * 12


def test_a_few_rows_to_validate_on_are_not_judged() -> None:
    X = np.random.default_rng(0).normal(size=(60, 1))
    for first in range(0, 56, 2):
        warn_of_unlike_rows(X, X[first : first + 2])
    with pytest.warns(UserWarning, match="has another scale"):
        warn_of_unlike_rows(X, 100 * X[:10])
