"""Our searches beside scikit-learn's over the same estimators: candidates, scores, ranks and the best.

Runs are of 4 epochs of 4 to 8 batches, too short for the rounding of single precision to grow to 1e-4.
"""

import os
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn import model_selection as sklearn_searches
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold, RepeatedKFold, ShuffleSplit, StratifiedShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, KerasRegressor
from kerashp import model_selection as kerashp_searches

pytestmark = pytest.mark.slow

EPOCHS = 4
TOLERANCE = 1e-4
RNG = np.random.default_rng(0)
NUMBERS = make_regression(150, 6, n_targets=1, random_state=0)
NUMBERS = (NUMBERS[0], NUMBERS[1] / NUMBERS[1].std())
OUTPUTS = make_regression(150, 6, n_targets=3, random_state=0)
OUTPUTS = (OUTPUTS[0], OUTPUTS[1] / OUTPUTS[1].std(axis=0))
LABELS = make_classification(160, 6, n_informative=4, n_classes=3, random_state=0)
BINARY = make_classification(160, 6, n_informative=4, weights=[0.7], random_state=1)
MULTILABEL = make_multilabel_classification(150, 6, n_classes=4, random_state=0)
WEIGHT = RNG.uniform(0.2, 2, 160)
WEIGHT[::7] = 0
GROUPS = np.arange(160) % 5


def build(
    n_hidden: int = 1,
    n_neurons: int = 8,
    learning_rate: float = 0.03,
    n_outputs: int = 1,
    task: str = "regression",
    input_shape: Any = (6,),
) -> Any:
    model = keras.Sequential([keras.Input(input_shape)])
    for _ in range(n_hidden):
        model.add(keras.layers.Dense(n_neurons, "relu"))
    last, loss = {
        "regression": (None, "mse"),
        "multiclass": ("softmax", "sparse_categorical_crossentropy"),
    }.get(task, ("sigmoid", "binary_crossentropy"))
    model.add(keras.layers.Dense(n_outputs, last))
    model.compile(keras.optimizers.SGD(learning_rate), loss)
    return model


def convolve(n_filters: int = 2, learning_rate: float = 0.03) -> Any:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Reshape((6, 1)),
            layers.Conv1D(n_filters, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model


class Case(NamedTuple):
    estimator: Any
    space: dict[str, Any]
    data: Any = NUMBERS
    search: dict[str, Any] = {}
    fit: dict[str, Any] = {}


def mlp(**params: Any) -> KerasMLPRegressor:
    arguments = {"n_hidden": 1, "n_neurons": 8, "learning_rate": 0.02, "batch_size": 32} | params
    return KerasMLPRegressor(**arguments, epochs=EPOCHS, random_state=0)


def classify(**params: Any) -> KerasMLPClassifier:
    arguments = {"n_hidden": 1, "n_neurons": 8, "learning_rate": 0.02, "batch_size": 32} | params
    return KerasMLPClassifier(**arguments, epochs=EPOCHS, random_state=0)


RATES = {"learning_rate": [0.003, 0.03]}
STOPPING = {"early_stopping": True, "patience": 1, "validation_fraction": 0.25}
SCALED = [("scale", StandardScaler())]
COLUMNS = ColumnTransformer([("a", StandardScaler(), [0, 1, 2]), ("b", MinMaxScaler(), [3, 4, 5])])

CASES = {
    "depths and widths": Case(mlp(), {"n_hidden": [0, 2], "n_neurons": [5, 9]}, search={"cv": 3}),
    "learning rates drawn": Case(mlp(), {"learning_rate": loguniform(1e-3, 1e-1), "n_neurons": [4, 7, 11]}),
    "SGD with momentum": Case(mlp(optimizer="sgd"), {"momentum": [0.0, 0.5, 0.9], **RATES}),
    "optimizers": Case(mlp(), {"optimizer": ["adam", "sgd", "rmsprop"]}),
    "Adam's numbers": Case(mlp(), {"beta_1": [0.8, 0.9], "beta_2": [None, 0.9]}),
    "dropout": Case(mlp(dropout=0.2), {"dropout": [0.1, 0.3], "learning_rate": [0.01, 0.03]}),
    "penalties": Case(mlp(), {"l2": [0.0, 0.1], "l1": [0.0, 0.01]}),
    "batch sizes": Case(mlp(), {"batch_size": [32, "auto"], "learning_rate": [0.01, 0.03]}),
    "batch normalization": Case(mlp(batch_normalization=True), {"n_neurons": [5, 9], **RATES}),
    "normalized inside": Case(mlp(normalize=True), RATES),
    "early stopping": Case(mlp(**STOPPING), {"n_neurons": [4, 8], **RATES}),
    "early stopping or not": Case(mlp(), {"early_stopping": [False, True], "patience": [1, None]}),
    "epochs": Case(mlp(), {"epochs": [2, 3, 4]}),
    "several outputs": Case(mlp(), {"n_neurons": [5, 9], **RATES}, OUTPUTS),
    "double precision": Case(mlp(dtype="float64"), RATES),
    "multiclass": Case(classify(), {"n_neurons": [5, 9], **RATES}, LABELS),
    "binary, with probabilities": Case(classify(), RATES, BINARY, {"scoring": "roc_auc"}),
    "class weights": Case(classify(), {"class_weight": [None, "balanced", {0: 1, 1: 3}]}, BINARY),
    "class weights and early stopping": Case(
        classify(**STOPPING, class_weight="balanced"), RATES, BINARY, {"scoring": "neg_log_loss"}
    ),
    "multilabel": Case(classify(), RATES, MULTILABEL, {"scoring": "f1_micro"}),
    "sample weights": Case(mlp(), RATES, fit={"sample_weight": WEIGHT[:150]}),
    "sample weights and early stopping": Case(mlp(**STOPPING), RATES, fit={"sample_weight": WEIGHT[:150]}),
    "groups": Case(mlp(), RATES, search={"cv": GroupKFold(4)}, fit={"groups": GROUPS[:150]}),
    "splits that overlap": Case(mlp(), RATES, search={"cv": ShuffleSplit(3, random_state=0)}),
    "repeated folds": Case(
        mlp(), RATES, search={"cv": RepeatedKFold(n_splits=2, n_repeats=2, random_state=0)}
    ),
    "stratified splits": Case(classify(), RATES, LABELS, {"cv": StratifiedShuffleSplit(2, random_state=0)}),
    "several scores": Case(
        mlp(),
        RATES,
        search={"scoring": ["r2", "neg_mean_absolute_error"], "refit": "r2", "return_train_score": True},
    ),
    "scaled": Case(
        Pipeline([*SCALED, ("net", mlp())]), {"net__n_neurons": [5, 9], "net__learning_rate": [0.01, 0.03]}
    ),
    "earlier steps searched": Case(
        Pipeline([("pca", PCA(random_state=0)), ("net", mlp())]),
        {"pca__n_components": [2, 4], "net__learning_rate": [0.01, 0.03]},
    ),
    "nested pipelines": Case(
        make_pipeline(COLUMNS, Pipeline([*SCALED, ("net", classify())])),
        {"pipeline__net__n_neurons": [5, 9]},
        LABELS,
    ),
    "a transformed target": Case(
        TransformedTargetRegressor(make_pipeline(StandardScaler(), mlp()), transformer=StandardScaler()),
        {"regressor__kerasmlpregressor__learning_rate": [0.01, 0.03]},
    ),
    "a model function": Case(
        KerasRegressor(build, epochs=EPOCHS, batch_size=32, random_state=0),
        {"n_hidden": [0, 1], "n_neurons": np.arange(4, 9), "learning_rate": loguniform(3e-3, 3e-2)},
    ),
    "a model function in a pipeline": Case(
        Pipeline([*SCALED, ("net", KerasClassifier(build, epochs=EPOCHS, random_state=0))]),
        {"net__n_neurons": [4, 7], "net__learning_rate": [0.01, 0.03]},
        LABELS,
    ),
    "convolutions": Case(
        KerasRegressor(convolve, epochs=EPOCHS, batch_size=32, random_state=0),
        {"n_filters": [2, 3], "learning_rate": [0.01, 0.03]},
    ),
    "held out by Keras": Case(
        KerasRegressor(build, epochs=EPOCHS, random_state=0, validation_split=0.2),
        {"n_neurons": [4, 7]},
        fit={"callbacks": [keras.callbacks.EarlyStopping(patience=1)]},
    ),
    "the textbook's fit": Case(
        KerasRegressor(build, random_state=0),
        {"n_neurons": [4, 7], "learning_rate": [0.01, 0.03]},
        fit={
            "epochs": EPOCHS,
            "batch_size": 32,
            "validation_data": (NUMBERS[0][:40], NUMBERS[1][:40]),
            "callbacks": [keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)],
        },
    ),
}


def searches(case: Case, module: Any) -> Any:
    options = {"cv": 2} | case.search
    drawn = any(hasattr(values, "rvs") for values in case.space.values())
    if not drawn:
        return module.GridSearchCV(case.estimator, case.space, **options)
    return module.RandomizedSearchCV(case.estimator, case.space, n_iter=4, random_state=0, **options)


DOUBLE = pytest.mark.skipif(
    keras.backend.backend() == "jax" and os.environ.get("JAX_ENABLE_X64") != "1",
    reason="JAX computes in double precision where JAX_ENABLE_X64=1",
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=DOUBLE) if name == "double precision" else name for name in CASES]
)
def test_the_search_gives_what_scikit_learns_gives(name: str) -> None:
    case = CASES[name]
    X, y = case.data
    expected = searches(case, sklearn_searches).fit(X, y, **case.fit)
    search = searches(case, kerashp_searches).fit(X, y, **case.fit)
    assert search.plan_.groups
    assert not search.plan_.alone
    assert search.cv_results_.keys() >= expected.cv_results_.keys()
    assert search.cv_results_["params"] == expected.cv_results_["params"]
    assert search.n_splits_ == expected.n_splits_
    for key, values in expected.cv_results_.items():
        if ("test_" in key and "rank" not in key) or "train_" in key:
            np.testing.assert_allclose(
                search.cv_results_[key], values, rtol=TOLERANCE, atol=TOLERANCE, err_msg=key
            )
        elif "rank" in key:
            np.testing.assert_array_equal(search.cv_results_[key], values, err_msg=key)
    assert search.best_params_ == expected.best_params_
    assert search.best_score_ == pytest.approx(expected.best_score_, abs=TOLERANCE)
    np.testing.assert_allclose(search.predict(X), expected.predict(X), rtol=1e-3, atol=1e-3)
