"""A diagnosis does not advise what is so already."""

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from kerashp import KerasMLPClassifier, KerasMLPRegressor, KerasRegressor, build_model
from kerashp.callbacks import LearningRateWarmup
from kerashp.diagnostics import diagnose
from kerashp.diagnostics._learning_curves.findings import (
    AVERAGE,
    CLIP,
    MOMENTUM,
    REGULARISE,
    SCALE,
    TRAIN_LONGER,
    WARM_UP,
    WEAKEN,
)
from kerashp.diagnostics._learning_curves.settings import applicable_actions, settings_of
from kerashp.model_selection import GridSearchCV
from kerashp.schedules import CosLog, LinearWarmup

X = np.random.default_rng(0).normal(size=(40, 3))
VALUES, CLASSES = X[:, 0], (X[:, 0] > 0).astype(int)
INPUTS = "scale the inputs to mean 0 and standard deviation 1"
TARGETS = "scale the targets to mean 0 and standard deviation 1"
SLOW = {"learning_rate": 1e-5, "epochs": 10, "optimizer": "sgd", "normalize": False, "random_state": 0}
REGRESSOR = KerasMLPRegressor(**SLOW, normalize_target=False)
CLASSIFIER = KerasMLPClassifier(**SLOW)


def left(action: str, model: Any, outer: Any = None) -> str | None:
    return next(iter(applicable_actions([action], settings_of(model, outer))), None)


@pytest.mark.parametrize(
    ("estimator", "y", "scaling"),
    [
        (REGRESSOR, VALUES, SCALE),
        (make_pipeline(StandardScaler(), REGRESSOR), VALUES, TARGETS),
        (make_pipeline(PolynomialFeatures(2), REGRESSOR), VALUES, SCALE),
        (
            make_pipeline(ColumnTransformer([("a", StandardScaler(), [0, 1, 2])]), REGRESSOR),
            VALUES,
            TARGETS,
        ),
        (TransformedTargetRegressor(REGRESSOR, transformer=StandardScaler()), VALUES, INPUTS),
        (TransformedTargetRegressor(REGRESSOR), VALUES, SCALE),
        (
            TransformedTargetRegressor(
                make_pipeline(StandardScaler(), REGRESSOR), transformer=StandardScaler()
            ),
            VALUES,
            None,
        ),
        (KerasMLPRegressor(**{**REGRESSOR.get_params(), "normalize": True}), VALUES, TARGETS),
        (CLASSIFIER, CLASSES, INPUTS),
        (make_pipeline(StandardScaler(), CLASSIFIER), CLASSES, None),
    ],
)
def test_what_is_scaled_is_not_to_be_scaled(estimator: Any, y: np.ndarray, scaling: str | None) -> None:
    diagnosis = diagnose(estimator.fit(X, y))
    assert diagnosis.verdict == "too slow"
    said = [action for action in diagnosis.findings[0].actions if action.startswith("scale")]
    assert said == ([] if scaling is None else [scaling])
    assert MOMENTUM in diagnosis.findings[0].actions


@pytest.mark.parametrize("refit", [True, False])
def test_a_searchs_pipeline_counts(refit: bool) -> None:
    pipeline = make_pipeline(StandardScaler(), CLASSIFIER)
    search = GridSearchCV(pipeline, {"kerasmlpclassifier__l2": [0.0]}, cv=2, refit=refit).fit(X, CLASSES)
    actions = [action for finding in diagnose(search).findings for action in finding.actions]
    assert actions
    assert not any("scale the" in action for action in actions)


@pytest.mark.parametrize(
    ("optimizer", "has"),
    [
        (keras.optimizers.SGD(), False),
        (keras.optimizers.SGD(momentum=0.9), True),
        (keras.optimizers.Adam(), True),
        (keras.optimizers.Nadam(), True),
        (keras.optimizers.RMSprop(), False),
    ],
)
def test_momentum_is_advised_where_there_is_none(optimizer: Any, has: bool) -> None:
    model = build_model(1, 3, None, optimizer=optimizer)
    assert left(MOMENTUM, model) == (None if has else MOMENTUM)


def test_what_the_optimizer_has_is_not_advised() -> None:
    plain = build_model(1, 3)
    assert [left(action, plain) for action in (CLIP, AVERAGE, WARM_UP)] == [CLIP, AVERAGE, WARM_UP]
    averaging = build_model(1, 3, None, optimizer=keras.optimizers.SGD(use_ema=True), clipnorm=1.0)
    assert left(CLIP, averaging) == "clip the gradients to a smaller norm"
    assert left(AVERAGE, averaging) == "use larger batches"
    assert left(WARM_UP, build_model(1, 3, LinearWarmup(0.1, 10))) is None
    assert left(WARM_UP, build_model(1, 3, CosLog(0.1, 10))) is None


def test_what_the_estimator_has_is_not_advised() -> None:
    assert left(WARM_UP, None, KerasMLPRegressor(warmup_epochs=2)) is None
    assert left(WARM_UP, None, KerasRegressor(callbacks=[[LearningRateWarmup(2)]])) is None
    assert left(WARM_UP, None, KerasMLPRegressor(schedule="coslog4")) is None
    assert left(WARM_UP, None, KerasMLPRegressor(schedule="flat_cosine")) == WARM_UP
    for stopping in ({"early_stopping": True}, {"callbacks": keras.callbacks.EarlyStopping()}):
        estimator = KerasMLPRegressor(**stopping)
        assert left(TRAIN_LONGER, None, estimator) == "train for more epochs"
        assert left(REGULARISE, None, estimator) == "regularise: dropout, L2, fewer or narrower layers"


def test_what_does_not_regularise_is_not_to_be_weakened() -> None:
    dropping, penalised = build_model(1, 3, dropout=0.2), build_model(1, 3, l2=0.1)
    both = build_model(1, 3, activity_l1=0.1, dropout=0.2)
    assert left(WEAKEN, build_model(1, 3)) is None
    assert left(WEAKEN, dropping) == "reduce regularisation (dropout)"
    assert left(WEAKEN, penalised) == "reduce regularisation (L1 and L2)"
    assert left(WEAKEN, both) == "reduce regularisation (L1 and L2, dropout)"
    assert left(REGULARISE, both) == (
        "regularise: early stopping, more dropout, a stronger L2, fewer or narrower layers"
    )


def test_curves_alone_get_all_advice() -> None:
    curves = {"loss": [float(value) for value in np.linspace(1, 0.9, 20)]}
    assert {SCALE, MOMENTUM} <= set(diagnose(curves, baseline=1.0).findings[0].actions)
