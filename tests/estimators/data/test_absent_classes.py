"""Classes that the rows to train on lack, though the model or the other folds have them."""

from typing import Any

import keras
import numpy as np
import pytest
from sklearn import model_selection
from sklearn.base import clone
from sklearn.model_selection import KFold

from kerashp import KerasClassifier, KerasMLPClassifier
from kerashp.model_selection import GridSearchCV


def three_units(loss: Any = None, activation: str | None = "softmax") -> keras.Model:
    """A network for three classes, compiled where a loss is given."""
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation)])
    if loss is not None:
        network.compile("sgd", loss)
    return network


LOSSES = {
    "estimator's": (None, "softmax"),
    "sparse": ("sparse_categorical_crossentropy", "softmax"),
    "one-hot": ("categorical_crossentropy", "softmax"),
    "squares": ("mse", "softmax"),
    "logits": (keras.losses.SparseCategoricalCrossentropy(from_logits=True), None),
}


@pytest.mark.parametrize(("loss", "activation"), LOSSES.values(), ids=LOSSES)
def test_a_class_has_the_unit_of_its_number_and_absent_ones_no_column(
    iris, loss: Any, activation: str | None
) -> None:
    X, y = iris[0][iris[1] != 1], iris[1][iris[1] != 1]
    classifier = KerasClassifier(lambda: three_units(loss, activation), epochs=20, random_state=0)
    fitted = classifier.fit(X, y)
    assert fitted.classes_.tolist() == [0, 2]
    raw = keras.ops.convert_to_numpy(fitted.model_(X))
    shares = np.exp(raw) if activation is None else raw
    expected = shares[:, [0, 2]] / shares[:, [0, 2]].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-5)
    assert fitted.decision_function(X).shape == (100,)
    assert fitted.score(X, y) > 0.9


def test_the_loss_is_keras_own_for_the_units_of_the_classes(iris) -> None:
    """The estimator's choice for a model of three units is that for three classes, with labels 0 and 2."""
    X, y = iris[0][iris[1] != 1], iris[1][iris[1] != 1]
    fitted = KerasClassifier(three_units, epochs=2, shuffle=False, random_state=0).fit(X, y)
    start = KerasClassifier(three_units, random_state=0).initialize(X, y).model_
    start.compile("rmsprop", "sparse_categorical_crossentropy")
    history = start.fit(X, y, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_allclose(fitted.history_["loss"], history["loss"], rtol=1e-4)


@pytest.mark.parametrize(
    ("labels", "units"),
    [
        (["a", "c"], [0, 1]),  # text has no number
        ([-1, 1], [0, 1]),
        ([5, 9], [0, 1]),  # no unit has such a number
        ([1.0, 2.0], [1, 2]),
        ([False, True], [0, 1]),
    ],
)
def test_labels_that_number_no_unit_have_the_first_units(iris, labels: list[Any], units: list[int]) -> None:
    X, y = iris[0][iris[1] < 2], np.array(labels)[iris[1][iris[1] < 2]]
    classifier = KerasClassifier(three_units, epochs=10, optimizer__learning_rate=0.1, random_state=0)
    fitted = classifier.fit(X, y)
    raw = keras.ops.convert_to_numpy(fitted.model_(X))[:, units]
    proba = fitted.predict_proba(X)
    np.testing.assert_allclose(proba, raw / raw.sum(axis=1, keepdims=True), rtol=1e-5)
    assert fitted.score(X, y) > 0.9


def test_units_without_a_class_outlast_saving_and_partial_fits(iris, tmp_path) -> None:
    X, y = iris[0][iris[1] != 1], iris[1][iris[1] != 1]
    fitted = KerasClassifier(three_units, epochs=5, random_state=0).fit(X, y)
    fitted.save(tmp_path / "saved")
    loaded = KerasClassifier.load(tmp_path / "saved", model=three_units)
    np.testing.assert_allclose(loaded.predict_proba(X), fitted.predict_proba(X), rtol=1e-6)
    loss = fitted.history_["loss"][-1]
    assert fitted.partial_fit(X, y).history_["loss"][-1] < loss


@pytest.mark.slow
def test_a_search_over_sorted_rows_scores_as_scikit_learns(iris) -> None:
    """Each of KFold's three folds lacks the class that it is tested on."""
    for classifier in (
        KerasClassifier(three_units, epochs=3, random_state=0),
        KerasMLPClassifier(epochs=3, random_state=0),
        KerasClassifier(epochs=3, random_state=0),
    ):
        grid = {"batch_size": [50, 100]}
        searches = [
            kind(clone(classifier), grid, cv=KFold(3)).fit(*iris)
            for kind in (GridSearchCV, model_selection.GridSearchCV)
        ]
        ours, theirs = [search.cv_results_ for search in searches]
        for name in ("split0_test_score", "split1_test_score", "split2_test_score", "mean_test_score"):
            np.testing.assert_array_equal(ours[name], theirs[name])
        np.testing.assert_array_equal(ours["mean_test_score"], 0)
        assert searches[0].plan_.groups


def test_a_class_of_one_row_takes_no_fold_away(iris) -> None:
    """The fold that lacks it trains as the others do: with two of the three units."""
    rows = np.random.RandomState(0).permutation(101)
    X, y = iris[0][rows], iris[1][rows]
    classifier = KerasClassifier(three_units, epochs=5, random_state=0, metrics=["accuracy"])
    search = GridSearchCV(classifier, {"optimizer__learning_rate": [1e-3, 0.03]}, cv=KFold(5)).fit(X, y)
    scores = np.array([search.cv_results_[f"split{i}_test_score"] for i in range(5)])
    assert np.isfinite(scores).all()
    assert search.best_params_ == {"optimizer__learning_rate": 0.03}
    assert search.best_score_ > 0.9


@pytest.mark.parametrize("classifier", [KerasClassifier(three_units), KerasMLPClassifier()])
def test_early_stopping_keeps_a_class_of_one_row(iris, classifier: Any) -> None:
    X, y = iris[0][:101], iris[1][:101]
    fitted = clone(classifier).set_params(early_stopping=True, epochs=2, random_state=0).fit(X, y)
    assert fitted.classes_.tolist() == [0, 1, 2]
    assert len(fitted.history_["val_loss"]) == 2


def test_the_other_classes_are_held_out_in_equal_shares(iris) -> None:
    from kerashp.estimators._data.rows import Rows, hold_out

    X, y = iris[0][:101], iris[1][:101]
    train, valid = hold_out(Rows(X, y, None), 0.1, stratify=True, seed=0)
    assert np.bincount(valid.y).tolist() == [5, 5]
    assert np.bincount(train.y).tolist() == [45, 45, 1]
    assert sorted([*train.positions, *valid.positions]) == list(range(101))
