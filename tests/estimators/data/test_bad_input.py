"""Malformed calls, each refused with a clear error before any training starts.

One table: what is called, the error's type and a pattern of its message (the value received or the argument's
name, and what was expected). Training is made to fail the test; what needs a fitted estimator asks `fitted`.
"""

import copy
import functools
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, KerasRegressor
from kerashp._compat.sklearn import version
from kerashp.training._engine.engine import Engine

WRAPPERS = (KerasClassifier, KerasRegressor)
PERCEPTRONS = (KerasMLPClassifier, KerasMLPRegressor)
CLASSIFIERS = (KerasClassifier, KerasMLPClassifier)
REGRESSORS = (KerasRegressor, KerasMLPRegressor)
ALL = (*WRAPPERS, *PERCEPTRONS)


def unscaled(kind: Any) -> Any:
    """An estimator whose network takes rows and targets as they are."""
    names = {KerasMLPClassifier: ["normalize"], KerasMLPRegressor: ["normalize", "normalize_target"]}
    return kind(**dict.fromkeys(names.get(kind, []), False))


X = np.random.default_rng(0).normal(size=(20, 4))
FRAME = pd.DataFrame(X, columns=list("abcd"))
BINARY = np.arange(20) % 2
THREE = np.arange(20) % 3
LETTERS = np.array(["a", "b"])[BINARY]
LABELS = (X[:, :3] > 0).astype(int)
VALUES = X[:, 0]
PAIRS = X[:, :2]


# What the rows are made of.


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    """A copy in floats whose fourth row begins with `value`."""
    changed = array.astype(float)
    changed.reshape(len(changed), -1)[3, 0] = value
    return changed


def objects(*labels: Any) -> np.ndarray:
    return np.array(labels * (20 // len(labels)), dtype=object)


def network(
    width: int, activation: Any = None, inputs: int = 4, **compiled: Any
) -> Callable[[], keras.Model]:
    """A model function; its model comes compiled where `compiled` says how."""

    def build() -> keras.Model:
        model = keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(width, activation)])
        if compiled:
            model.compile(**{"optimizer": "sgd", **compiled})
        return model

    return build


def two_outputs() -> keras.Model:
    inputs = keras.Input((4,))
    return keras.Model(inputs, [keras.layers.Dense(1)(inputs), keras.layers.Dense(1)(inputs)])


def two_inputs() -> keras.Model:
    inputs = [keras.Input((4,)), keras.Input((4,))]
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Concatenate()(inputs)))


def matrix_output() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.Reshape((2, 2))])


def needs_units(n_units: int) -> keras.Model:
    return network(n_units)()


def forgets_return() -> None:
    network(1)()


def returns_list() -> list[keras.Model]:
    return [network(1)()]


def stumbles() -> keras.Model:
    raise TypeError("units must be an int, not 'ten'")


class Locked(keras.callbacks.Callback):
    """A callback that cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


def emptied(path: str) -> str:
    Path(path).mkdir()
    return path


def saved(estimator: Any, path: str, damaged: str | None = None) -> str:
    """The folder of a saved estimator, with one of its files overwritten."""
    estimator.save(path)
    if damaged is not None:
        (Path(path) / damaged).write_bytes(b"{}")
    return path


def with_mixed_labels() -> Any:
    estimator = copy.deepcopy(fitted("letters"))
    estimator.target_encoder_.classes_ = np.array(["a", 1], dtype=object)
    return estimator


_FITTED: dict[str, Callable[[], Any]] = {
    "named": lambda: KerasMLPClassifier(epochs=1, random_state=0).fit(FRAME, BINARY),
    "letters": lambda: KerasClassifier(warm_start=True, random_state=0).fit(X, LETTERS),
    "three": lambda: KerasMLPClassifier(epochs=1, warm_start=True, random_state=0).fit(X, THREE),
    "labels": lambda: KerasMLPClassifier(epochs=1, random_state=0).fit(X, LABELS),
    "values": lambda: KerasMLPRegressor(epochs=1, warm_start=True, random_state=0).fit(X, VALUES),
    "pairs": lambda: KerasRegressor(random_state=0).fit(FRAME, PAIRS),
}


@functools.cache
def fitted(name: str) -> Any:
    return _FITTED[name]()


@pytest.fixture(scope="module", autouse=True)
def _fit_before_training_is_refused() -> None:
    for name in _FITTED:
        fitted(name)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test where a model trains: compiled, by Keras' loop or by an optimizer's step of any loop."""
    for owner, name in (
        (Engine, "epochs"),
        (keras.Model, "fit"),
        (keras.Model, "train_on_batch"),
        (keras.Optimizer, "apply"),
    ):

        @functools.wraps(getattr(owner, name))
        def started(*_: Any, **__: Any) -> None:
            pytest.fail("training started")

        monkeypatch.setattr(owner, name, started)


# The table.

Row = Any  # a pytest.param of (call, error, message)


def row(
    name: str,
    call: Callable[[], Any],
    message: str,
    error: type[Exception] = ValueError,
    *,
    marks: Iterable[pytest.MarkDecorator] = (),
) -> Row:
    return pytest.param(call, error, message, id=name, marks=tuple(marks))


def rows(
    name: str,
    call: Callable[[type, np.ndarray], Any],
    message: str,
    error: type[Exception] = ValueError,
    *,
    of: Iterable[type] = ALL,
) -> list[Row]:
    """A row for each class: `call` takes it and a good y, NAME in the message stands for the class' name."""
    return [
        row(
            f"{estimator.__name__}-{name}",
            functools.partial(call, estimator, BINARY if is_classifier(estimator()) else VALUES),
            message.replace("NAME", estimator.__name__),
            error,
        )
        for estimator in of
    ]


FEATURES = [
    *rows("X-1d", lambda e, y: e().fit(VALUES, y), r"Expected 2D array, got 1D .*[Rr]eshape"),
    *rows(
        "X-and-y-of-other-lengths",
        lambda e, y: e().fit(X, y[:19]),
        r"inconsistent numbers of samples: \[20, 19\]",
    ),
    *rows(
        "X-without-rows",
        lambda e, y: e().fit(X[:0], y[:0]),
        r"0 sample\(s\) \(shape=\(0, 4\)\) while a minimum of 1 is required by NAME",
    ),
    *rows(
        "X-without-columns",
        lambda e, y: e().fit(X[:, :0], y),
        r"0 feature\(s\) \(shape=\(20, 0\)\) while a minimum of 1 is required by NAME",
    ),
    *rows(
        "X-nan",
        lambda e, y: e().fit(with_value(X, np.nan), y),
        r"Input X contains NaN.*NAME does not accept missing values.*imputer",
        of=WRAPPERS,
    ),
    *rows(
        "X-infinite",
        lambda e, y: e().fit(with_value(X, -np.inf), y),
        r"Input X contains infinity or a value too large for dtype\('float64'\)",
    ),
    *rows(
        "X-too-large-for-float32",
        lambda e, y: e().fit(with_value(X, 1e300), y),
        r"Input X contains infinity or a value too large for dtype\('float32'\)",
    ),
    *rows(
        "X-sparse-nan",
        lambda e, y: e().fit(sparse.csr_array(with_value(X, np.nan)), y),
        r"Input X contains NaN.*NAME does not accept missing values",
        of=WRAPPERS,
    ),
    *rows(
        "X-sparse-too-large-for-float32",
        lambda e, y: e().fit(sparse.csr_array(with_value(X, 1e300)), y),
        r"Input X contains infinity or a value too large for dtype\('float32'\)",
    ),
    *rows(
        "X-complex",
        lambda e, y: e().fit(X + 1j, y),
        r"^Complex data not supported: X must hold real numbers; got an array of shape \(20, 4\) and type "
        r"complex128\. Pass the real and imaginary parts \(X\.real and X\.imag\) as columns$",
    ),
    *rows(
        "X-sparse-complex",
        lambda e, y: e().fit(sparse.csr_array(X + 1j), y),
        r"^Complex data not supported: X must .*got <.*complex128",
    ),
    row(
        "X-complex-to-predict",
        lambda: fitted("three").predict(X + 1j),
        r"^Complex data not supported: X must hold real numbers; got an array of shape \(20, 4\)",
    ),
    *rows(
        "X-of-timestamps",
        lambda e, y: unscaled(e).fit(1.7e18 + 1e15 * X, y),
        r"X holds values of up to 1\.7e\+18 in column \d, which the layer '\w+' would multiply by its "
        r"weights: above 4\.3e\+09 the squares of gradients may overflow float32\. Scale the inputs",
    ),
    *rows(
        "X-of-large-integers",
        lambda e, y: unscaled(e).fit(np.where(np.arange(4) == 2, 10**18, X).astype("int64"), y),
        r"X holds values of up to 1\.0e\+18 in column 2.*Scale the inputs",
    ),
    *rows(
        "X-of-images",
        lambda e, y: e().fit(X.reshape(20, 2, 2), y),
        r"NAME takes X of shape \(n_samples, n_features\); got \(20, 2, 2\): flatten rows with "
        r"X\.reshape\(len\(X\), -1\), or use Keras(Classifier|Regressor), whose model takes",
        of=PERCEPTRONS,
    ),
    *rows(
        "X-of-text",
        lambda e, y: e().fit(np.full((20, 4), "red"), y),
        r"\bX must .*numbers.*strings",
    ),
    *rows(
        "X-with-a-column-of-text",
        lambda e, y: e().fit(FRAME.assign(a="red"), y),
        r"\bX must .*numbers.*'red'",
        of=WRAPPERS,
    ),
    *rows(
        "X-of-dates", lambda e, y: e().fit(np.zeros((20, 4), "M8[D]"), y), r"\bX must .*numbers.*datetime64"
    ),
    *rows(
        "X-ragged",
        lambda e, y: e().fit([[1.0, 2.0], [3.0]] * 10, y),
        r"\bX must .*numbers.*inhomogeneous shape",
    ),
    row(
        "X-names-partly-numbers",
        lambda: KerasMLPClassifier().fit(FRAME.rename(columns={"a": 1}), BINARY),
        r"string names, but your input has \['int', 'str'\].*X\.columns\.astype\(str\)",
        TypeError,
    ),
    row(
        "X-variance-too-large-to-normalize",
        lambda: KerasMLPRegressor(normalize=True).fit(with_value(X, 1e30), VALUES),
        r"normalize=True needs columns of X whose variance fits into float32, .*: divide it by a constant",
    ),
    row(
        "X-nan-in-initialize",
        lambda: KerasClassifier().initialize(with_value(X, np.nan), BINARY),
        r"Input X contains NaN.*KerasClassifier",
    ),
]

TARGETS = [
    *rows(
        "y-none",
        lambda e, _: e().fit(X, None),
        r"NAME estimator requires y to be passed, but the target y is None",
    ),
    *rows("y-nan", lambda e, y: e().fit(X, with_value(y, np.nan)), r"Input y contains NaN"),
    *rows(
        "y-infinite",
        lambda e, y: e().fit(X, with_value(y, np.inf)),
        r"Input y contains infinity or a value too large",
    ),
    *rows(
        "y-3d",
        lambda e, _: e().fit(X, np.zeros((20, 2, 2))),
        r"\by must .*\(n_samples, .*got.*\(20, 2, 2\)",
    ),
    *rows(
        "y-without-columns",
        lambda e, _: e().fit(X, np.zeros((20, 0))),
        r"\by must .*\(n_samples, .*got.*\(20, 0\)",
    ),
    *rows(
        "y-complex",
        lambda e, y: e().fit(X, y + 1j),
        r"^Complex data not supported: y must hold real numbers; got an array of shape \(20,\)",
    ),
    *rows(
        "y-too-large-for-its-loss",
        lambda e, y: unscaled(e).fit(X, y * 1e20),
        r"y holds values of up to \d\.\de\+20, whose loss 'mean_squared_error' is infinite in float32 \(from "
        r"1\.8e\+19 on\)\. Scale y, say with sklearn\.compose\.TransformedTargetRegressor",
        of=REGRESSORS,
    ),
    *rows(
        "y-continuous",
        lambda e, _: e().fit(X, VALUES),
        r"Unknown label type: continuous.*discrete classes",
        of=CLASSIFIERS,
    ),
    *rows(
        "y-of-one-class",
        lambda e, _: e().fit(X, np.full(20, "a")),
        r"y has 1 class, \['a'\].*NAME needs 2 classes or more",
        of=CLASSIFIERS,
    ),
    *rows(
        "y-of-several-columns-of-classes",
        lambda e, _: e().fit(X, np.c_[THREE, THREE]),
        r"y holds several columns of classes \(multiclass-multioutput, shape \(20, 2\)\).*MultiOutput",
        of=CLASSIFIERS,
    ),
    *rows(
        "y-of-strings-and-numbers",
        lambda e, _: e().fit(X, objects("a", 1)),
        r"\by must .*(strings|numbers).*got.*int, str",
        of=CLASSIFIERS,
    ),
    *rows(
        "y-with-none", lambda e, _: e().fit(X, objects("a", "b", "a", None)), r"\by\b.*None", of=CLASSIFIERS
    ),
    *rows(
        "y-of-strings-with-nan",
        lambda e, _: e().fit(X, objects("a", "b", "a", np.nan)),
        r"\by\b.*NaN",
        of=CLASSIFIERS,
    ),
    row(
        "y-of-number-objects",
        lambda: KerasMLPClassifier().fit(X, objects(1, 2)),
        r"\by must .*got.*objects.*int.*astype",
    ),
    row(
        "y-of-bytes",
        lambda: KerasMLPClassifier().fit(X, LETTERS.astype("S")),
        r"labels represented as bytes is not supported.*string or integer",
        TypeError,
        marks=[
            pytest.mark.skipif(version() < (1, 7), reason="scikit-learn before 1.7 takes labels of bytes")
        ],
    ),
    row(
        "y-indicator-of-minus-one",
        lambda: KerasMLPClassifier().fit(X, 2 * LABELS - 1),
        r"y must be an indicator matrix of 0 and 1 with 3 columns.*got .*\(20, 3\)",
    ),
    row(
        "y-of-one-class-in-initialize",
        lambda: KerasClassifier().initialize(X, np.zeros(20, int)),
        r"y has 1 class, \[0\].*KerasClassifier needs 2",
    ),
    *rows(
        "y-of-text",
        lambda e, _: e().fit(X, LETTERS),
        r"\by must .*numbers.*got.*(str|<U1).*classifier",
        of=REGRESSORS,
    ),
    *rows(
        "y-of-numbers-as-text",
        lambda e, _: e().fit(X, BINARY.astype(str)),
        r"\by must .*numbers.*got.*(str|<U)",
        of=REGRESSORS,
    ),
    *rows(
        "y-of-text-objects",
        lambda e, _: e().fit(X, LETTERS.astype(object)),
        r"\by must .*numbers.*got.*str",
        of=REGRESSORS,
    ),
    *rows(
        "y-of-dates",
        lambda e, _: e().fit(X, np.zeros(20, "M8[D]")),
        r"\by must .*numbers.*got.*datetime64",
        of=REGRESSORS,
    ),
    *rows(
        "y-too-large-for-float32",
        lambda e, _: e().fit(X, with_value(VALUES, 1e300)),
        r"Input y contains infinity or a value too large for dtype\('float32'\)",
        of=REGRESSORS,
    ),
]

WEIGHTS = [
    *rows(
        "weights-complex",
        lambda e, y: e().fit(X, y, np.ones(20) + 1j),
        r"^Complex data not supported: sample_weight must .*got an array of shape \(20,\) and type complex",
    ),
    *rows(
        "weights-all-zero",
        lambda e, y: e().fit(X, y, np.zeros(20)),
        r"[Ss]ample weights must contain at least one non-zero",
    ),
    *rows(
        "weight-negative",
        lambda e, y: e().fit(X, y, with_value(np.ones(20), -1)),
        r"Negative values in data passed to `sample_weight`",
    ),
    *rows(
        "weights-of-other-length",
        lambda e, y: e().fit(X, y, np.ones(19)),
        r"sample_weight\.shape == \(19,\), expected \(20,\)",
    ),
    *rows(
        "weights-2d",
        lambda e, y: e().fit(X, y, np.ones((20, 2))),
        r"Sample weights must be 1D array or scalar",
    ),
    *rows(
        "weight-nan",
        lambda e, y: e().fit(X, y, with_value(np.ones(20), np.nan)),
        r"Input sample_weight contains NaN",
    ),
    *rows(
        "weight-too-large-for-float32",
        lambda e, y: e().fit(X, y, with_value(np.ones(20), 1e300)),
        r"Input sample_weight contains infinity or a value too large for dtype\('float32'\)",
    ),
    *rows(
        "weights-of-text",
        lambda e, y: e().fit(X, y, ["heavy"] * 20),
        r"sample_weight must .*number.*'heavy'",
    ),
    *rows(
        "weights-leave-one-class",
        lambda e, y: e().fit(X, y, 1.0 * y),
        r"y has 1 class, \[1\], among the rows with a weight; NAME needs 2 classes",
        of=CLASSIFIERS,
    ),
    *rows(
        "class-weight-negative",
        lambda e, y: e(class_weight={0: -1.0}).fit(X, y),
        r"class_weight must .*at least 0.*got.*0: -1\.0",
        of=CLASSIFIERS,
    ),
    *rows(
        "class-weight-nan",
        lambda e, y: e().fit(X, y, class_weight={1: np.nan}),
        r"class_weight must .*finite.*got.*1: nan",
        of=CLASSIFIERS,
    ),
    *rows(
        "class-weight-of-text",
        lambda e, y: e(class_weight={0: "heavy"}).fit(X, y),
        r"class_weight must .*number.*got.*'heavy'",
        of=CLASSIFIERS,
    ),
    *rows(
        "class-weight-of-unknown-label",
        lambda e, y: e(class_weight={7: 2.0}).fit(X, y),
        r"class_weight.*\[7\].*\[0, 1\]",
        of=CLASSIFIERS,
    ),
    *rows(
        "class-weight-list-for-one-column",
        lambda e, y: e(class_weight=[1.0, 2.0]).fit(X, y),
        r"class_weight must .*dict.*got.*\[1\.0, 2\.0\]",
        of=CLASSIFIERS,
    ),
    *rows(
        "class-weight-leaves-one-class",
        lambda e, y: e(class_weight={0: 0.0}).fit(X, y),
        r"y has 1 class, \[1\], among the rows with a weight; NAME needs 2 classes",
        of=CLASSIFIERS,
    ),
    *rows(
        "class-weight-all-zero",
        lambda e, y: e(class_weight={0: 0.0, 1: 0.0}).fit(X, y),
        r"y has 0 class, \[\], among the rows with a weight",
        of=CLASSIFIERS,
    ),
    *rows(
        "class-weight-misspelt",
        lambda e, y: e(class_weight="balance").fit(X, y),
        r"'class_weight' parameter of NAME must be .*'balanced'.*Got 'balance'",
        of=CLASSIFIERS,
    ),
    *rows(
        "class-weight-balanced-in-partial-fit",
        lambda e, y: e(class_weight="balanced").partial_fit(X, y),
        r"class_weight='balanced' cannot be computed from a part.*compute_class_weight.*dict",
        of=CLASSIFIERS,
    ),
    *rows(
        "class-weight-in-fit",
        lambda e, y: e().fit(X, y, class_weight={0: 2.0}),
        r"NAME\.fit got class_weight, which is for classifiers; use sample_weight",
        of=REGRESSORS,
    ),
]

VALIDATION = [
    *rows(
        "validation-not-a-tuple",
        lambda e, y: e().fit(X, y, validation_data=X),
        r"validation_data must be a tuple \(X, y\) or \(X, y, sample_weight\); got ndarray",
        TypeError,
    ),
    *rows(
        "validation-of-length-1",
        lambda e, y: e().fit(X, y, validation_data=(X,)),
        r"validation_data must be a tuple \(X, y\) .*got tuple of length 1",
        TypeError,
    ),
    *rows(
        "validation-of-length-4",
        lambda e, y: e().fit(X, y, validation_data=[X, y, None, None]),
        r"validation_data must be a tuple \(X, y\) .*got list of length 4",
        TypeError,
    ),
    *rows(
        "validation-of-other-width",
        lambda e, y: e().fit(X, y, validation_data=(X[:, :3], y)),
        r"validation_data: X has 3 features, but NAME is expecting 4 features",
    ),
    *rows(
        "validation-of-other-length",
        lambda e, y: e().fit(X, y, validation_data=(X, y[:19])),
        r"validation_data: .*inconsistent numbers of samples: \[20, 19\]",
    ),
    *rows(
        "validation-without-rows",
        lambda e, y: e().fit(X, y, validation_data=(X[:0], y[:0])),
        r"validation_data: .*0 sample\(s\) .*minimum of 1 is required",
    ),
    *rows(
        "validation-nan",
        lambda e, y: e().fit(X, y, validation_data=(with_value(X, np.nan), y)),
        r"validation_data: Input X contains NaN",
        of=WRAPPERS,
    ),
    *rows(
        "validation-of-names-partly-numbers",
        lambda e, y: e().fit(FRAME, y, validation_data=(FRAME.rename(columns={"a": 1}), y)),
        r"validation_data: .*string names, but your input has \['int', 'str'\]",
        TypeError,
    ),
    *rows(
        "validation-weight-negative",
        lambda e, y: e().fit(X, y, validation_data=(X, y, -np.ones(20))),
        r"validation_data: Negative values in data passed to `sample_weight`",
    ),
    *rows(
        "validation-twice",
        lambda e, y: e().fit(X, y, validation_data=(X, y), validation_split=0.2),
        r"both validation_data and validation_split; pass one of them",
    ),
    *rows(
        "validation-of-unknown-labels",
        lambda e, y: e().fit(X, y, validation_data=(X, THREE)),
        r"validation_data: y holds the classes \[2\], unknown to this classifier.*fitted with \[0, 1\]",
        of=CLASSIFIERS,
    ),
    *rows(
        "validation-of-labels-of-other-type",
        lambda e, y: e().fit(X, y, validation_data=(X, LETTERS)),
        r"validation_data: y holds the classes \['a', 'b'\], unknown to this classifier.*\[0, 1\]",
        of=CLASSIFIERS,
    ),
    *rows(
        "validation-continuous",
        lambda e, y: e().fit(X, y, validation_data=(X, VALUES)),
        r"validation_data: Unknown label type: continuous",
        of=CLASSIFIERS,
    ),
    *rows(
        "validation-of-other-labels",
        lambda e, _: e().fit(X, LABELS, validation_data=(X, LABELS[:, :2])),
        r"validation_data: y must be an indicator matrix .*3 columns.*got .*\(20, 2\)",
        of=CLASSIFIERS,
    ),
    *rows(
        "validation-of-other-outputs",
        lambda e, y: e().fit(X, y, validation_data=(X, PAIRS)),
        r"validation_data: y must have the 1 output.*got shape \(20, 2\)",
        of=REGRESSORS,
    ),
    *rows(
        "validation-of-text",
        lambda e, y: e().fit(X, y, validation_data=(X, LETTERS)),
        r"validation_data: .*\by must .*numbers",
        of=REGRESSORS,
    ),
    row(
        "validation-of-other-names",
        lambda: KerasMLPClassifier().fit(
            FRAME, BINARY, validation_data=(FRAME.rename(columns={"a": "z"}), BINARY)
        ),
        r"validation_data: The feature names should match.*unseen at fit time:\n- z.*now missing:\n- a",
    ),
    row(
        "validation-outside-of-the-loss",
        lambda: KerasRegressor(network(1, loss="poisson")).fit(X, abs(VALUES), validation_data=(X, VALUES)),
        r"validation_data: .*loss 'poisson' takes targets of at least 0; got values from -2\.3",
    ),
    *rows(
        "validation-steps-without-validation",
        lambda e, y: e().fit(X, y, validation_steps=3),
        r"validation_steps.*validation_data",
    ),
    *rows(
        "validation-freq-of-text",
        lambda e, y: e().fit(X, y, validation_data=(X, y), validation_freq=["first"]),
        r"validation_freq.*int.*[Gg]ot.*'first'",
    ),
    *rows(
        "validation-freq-of-epoch-zero",
        lambda e, y: e().fit(X, y, validation_data=(X, y), validation_freq=[0, 1]),
        r"validation_freq must be an int or a list of epochs, .*1; got \[0, 1\]",
    ),
    *rows(
        "early-stopping-and-validation-split",
        lambda e, y: e(early_stopping=True).fit(X, y, validation_split=0.2),
        r"early_stopping=True holds out validation_fraction=0\.1.*validation_split=0\.2.*set one",
    ),
    *rows(
        "early-stopping-with-fewer-rows-than-classes",
        lambda e, _: e(early_stopping=True).fit(X, np.arange(20) % 5),
        r"validation_fraction=0\.1 of the 20 .*test_size = 2 should be .*classes = 5.*Pass validation_data",
        of=CLASSIFIERS,
    ),
    *rows(
        "early-stopping-with-one-row",
        lambda e, y: e(early_stopping=True).fit(X[:1], y[:1]),
        r"validation_fraction=0\.1 of the 1 training rows.*n_samples=1.*Pass validation_data",
        of=REGRESSORS,
    ),
    row(
        "early-stopping-and-validation-split-in-constructor",
        lambda: KerasRegressor(early_stopping=True, validation_split=0.3).fit(X, VALUES),
        r"early_stopping=True holds out .*validation_split=0\.3.*set one",
    ),
]

CONTINUED = [
    row(
        "partial-fit-unknown-number",
        lambda: fitted("named").partial_fit(FRAME, THREE),
        r"y holds the classes \[2\], unknown to this classifier.*fitted with \[0, 1\].*partial_fit\(classes",
    ),
    row(
        "partial-fit-unknown-string",
        lambda: fitted("letters").partial_fit(X, np.where(THREE == 2, "c", LETTERS)),
        r"y holds the classes \['c'\], unknown to this classifier.*fitted with \['a', 'b'\]",
    ),
    row(
        "partial-fit-one-class",
        lambda: KerasMLPClassifier().partial_fit(X, np.zeros(20, int)),
        r"y has 1 class, \[0\].*classes=",
    ),
    row(
        "partial-fit-classes-of-one",
        lambda: KerasMLPClassifier().partial_fit(X, np.zeros(20, int), classes=[0]),
        r"classes must list 2 labels or more.*got shape \(1,\)",
    ),
    *rows(
        "partial-fit-classes-without-a-label-of-y",
        lambda e, _: e().partial_fit(X, THREE, classes=[0, 1]),
        r"y holds the classes \[2\].*classes.*\[0, 1\]",
        of=CLASSIFIERS,
    ),
    *rows(
        "partial-fit-classes-of-other-type",
        lambda e, y: e().partial_fit(X, y, classes=["a", "b"]),
        r"y holds the classes \[0, 1\].*classes.*\['a', 'b'\]",
        of=CLASSIFIERS,
    ),
    *rows(
        "partial-fit-classes-2d",
        lambda e, y: e().partial_fit(X, y, classes=[[0, 1]]),
        r"classes must .*\(n_classes,\).*got.*\(1, 2\)",
        of=CLASSIFIERS,
    ),
    *rows(
        "partial-fit-classes-nan",
        lambda e, y: e().partial_fit(X, y, classes=[0, 1, np.nan]),
        r"classes.*NaN",
        of=CLASSIFIERS,
    ),
    row(
        "partial-fit-classes-of-labels",
        lambda: KerasMLPClassifier().partial_fit(X, LABELS, classes=[0, 1]),
        r"classes.*\[0, 1\].*multilabel",
    ),
    row(
        "partial-fit-other-classes-than-before",
        lambda: fitted("named").partial_fit(FRAME, BINARY, classes=[0, 1, 2]),
        r"classes.*\[0, 1, 2\].*\[0, 1\]",
    ),
    row(
        "partial-fit-classes-in-regressor",
        lambda: KerasRegressor().partial_fit(X, VALUES, classes=[0, 1]),
        r"Invalid argument `classes` to KerasRegressor\.partial_fit.*one more epoch.*batch_size",
        TypeError,
    ),
    row(
        "partial-fit-other-features",
        lambda: fitted("three").partial_fit(X[:, :3], THREE),
        r"X has 3 features, but KerasMLPClassifier is expecting 4",
    ),
    row(
        "partial-fit-other-labels",
        lambda: fitted("labels").partial_fit(X, LABELS[:, :2]),
        r"y must be an indicator matrix of 0 and 1 with 3 columns.*got .*\(20, 2\)",
    ),
    row(
        "partial-fit-more-outputs",
        lambda: fitted("values").partial_fit(X, PAIRS),
        r"y must have the 1 output.*got shape \(20, 2\)",
    ),
    row(
        "partial-fit-fewer-outputs",
        lambda: fitted("pairs").partial_fit(FRAME, VALUES),
        r"y must have the 2 output.*got shape \(20,\)",
    ),
    row(
        "warm-start-unknown-string",
        lambda: fitted("letters").fit(X, np.where(THREE == 2, "c", LETTERS)),
        r"y holds the classes \['c'\], unknown to this classifier.*fitted with \['a', 'b'\].*call fit again",
    ),
    row(
        "warm-start-unknown-number",
        lambda: fitted("three").fit(X, np.arange(20) % 4),
        r"y holds the classes \[3\], unknown to this classifier.*fitted with \[0, 1, 2\].*call fit again",
    ),
    row(
        "warm-start-other-features",
        lambda: fitted("values").fit(X[:, :3], VALUES),
        r"X has 3 features, but KerasMLPRegressor is expecting 4",
    ),
    row(
        "warm-start-other-axes",
        lambda: fitted("values").fit(X.reshape(20, 4, 1), VALUES),
        r"X has rows of shape \(4, 1\), but KerasMLPRegressor was fitted with rows of shape \(4,\)",
    ),
    row(
        "warm-start-other-outputs",
        lambda: fitted("values").fit(X, PAIRS),
        r"y must have the 1 output.*got shape \(20, 2\)",
    ),
    row(
        "warm-start-epochs-already-over",
        lambda: fitted("values").fit(X, VALUES, initial_epoch=1),
        r"epochs=1, where training ends, must be greater than initial_epoch=1, .*pass more epochs",
    ),
]

ASKED = [
    *rows(
        "predict-unfitted",
        lambda e, _: e().predict(X),
        r"This NAME instance is not fitted yet\. Call 'fit'",
        NotFittedError,
    ),
    *rows(
        "score-unfitted",
        lambda e, y: e().score(X, y),
        r"This NAME instance is not fitted yet\. Call 'fit'",
        NotFittedError,
    ),
    *rows(
        "save-unfitted",
        lambda e, _: e().save("kept"),
        r"This NAME instance is not fitted yet\. Call 'fit'",
        NotFittedError,
    ),
    *rows(
        "predict-proba-unfitted",
        lambda e, _: e().predict_proba(X),
        r"This NAME instance is not fitted yet\. Call 'fit'",
        NotFittedError,
        of=CLASSIFIERS,
    ),
    *rows(
        "predict-log-proba-unfitted",
        lambda e, _: e().predict_log_proba(X),
        r"This NAME instance is not fitted yet\. Call 'fit'",
        NotFittedError,
        of=CLASSIFIERS,
    ),
    *rows(
        "decision-function-unfitted",
        lambda e, _: e().decision_function(X),
        r"This NAME instance is not fitted yet\. Call 'fit'",
        NotFittedError,
        of=CLASSIFIERS,
    ),
    *rows(
        "classes-unfitted",
        lambda e, _: e().classes_,
        "no.* classes_|no attribute 'classes_'",
        AttributeError,
        of=CLASSIFIERS,
    ),
    row(
        "predict-fewer-features",
        lambda: fitted("three").predict(X[:, :3]),
        r"X has 3 features, but KerasMLPClassifier is expecting 4 features",
    ),
    row(
        "predict-more-features",
        lambda: fitted("values").predict(np.c_[X, X]),
        r"X has 8 features, but KerasMLPRegressor is expecting 4 features",
    ),
    row(
        "predict-proba-fewer-features",
        lambda: fitted("letters").predict_proba(X[:, :3]),
        r"X has 3 features, but KerasClassifier is expecting 4 features",
    ),
    row(
        "decision-function-fewer-features",
        lambda: fitted("letters").decision_function(X[:, :3]),
        r"X has 3 features, but KerasClassifier is expecting 4 features",
    ),
    row(
        "predict-other-names",
        lambda: fitted("named").predict(FRAME.rename(columns={"a": "z"})),
        r"feature names should match.*unseen at fit time:\n- z.*now missing:\n- a",
    ),
    row(
        "predict-missing-name",
        lambda: fitted("pairs").predict(FRAME[list("abc")]),
        r"feature names should match.*now missing:\n- d",
    ),
    row(
        "predict-other-order",
        lambda: fitted("pairs").predict(FRAME[list("bacd")]),
        r"feature names should match.*must be in the same order as they were in fit",
    ),
    row(
        "predict-one-row-1d",
        lambda: fitted("three").predict(X[0]),
        r"Expected 2D array, got 1D array.*reshape\(1, -1\) if it contains a single sample",
    ),
    row(
        "predict-other-axes",
        lambda: fitted("three").predict(X.reshape(20, 4, 1)),
        r"X has rows of shape \(4, 1\), but KerasMLPClassifier was fitted with rows of shape \(4,\)",
    ),
    row(
        "predict-no-rows",
        lambda: fitted("values").predict(X[:0]),
        r"0 sample\(s\) \(shape=\(0, 4\)\) while a minimum of 1 is required by KerasMLPRegressor",
    ),
    row(
        "predict-nan",
        lambda: fitted("letters").predict(with_value(X, np.nan)),
        r"Input X contains NaN.*KerasClassifier does not accept missing values",
    ),
    row(
        "predict-too-large-for-float32",
        lambda: fitted("values").predict(with_value(X, 1e300)),
        r"Input X contains .*too large for dtype\('float32'\)",
    ),
    row(
        "predict-text",
        lambda: fitted("three").predict(np.full((2, 4), "red")),
        r"\bX must .*numbers.*strings",
    ),
    row(
        "predict-sparse-fewer-features",
        lambda: fitted("three").predict(sparse.csr_array(X[:, :3])),
        r"X has 3 features, but KerasMLPClassifier is expecting 4 features",
    ),
    row(
        "score-labels-of-other-type",
        lambda: fitted("named").score(FRAME, LETTERS),
        r"Mix of label input types \(string and number\).*\['a' 'b'\] and \[0 1\]",
        marks=[
            pytest.mark.skipif(
                version() < (1, 9),
                reason="scikit-learn before 1.9 scores labels of another type as wrong ones",
            )
        ],
    ),
    row(
        "score-indicator-of-a-binary-target",
        lambda: fitted("named").score(FRAME, LABELS),
        r"can't handle a mix of multilabel-indicator and binary targets",
    ),
    row(
        "score-other-length",
        lambda: fitted("values").score(X, VALUES[:19]),
        r"inconsistent numbers of samples: \[19, 20\]",
    ),
    row(
        "score-other-outputs",
        lambda: fitted("values").score(X, PAIRS),
        r"different number of output \(2!=1\)",
    ),
]

MODELS = [
    *rows(
        "model-none",
        lambda e, y: e(None).fit(X, y),
        r"'model' parameter of NAME must be a callable.*Got None instead: call set_params\(model=\.\.\.\)",
        of=WRAPPERS,
    ),
    *rows(
        "model-text",
        lambda e, y: e("text").fit(X, y),
        r"'model' parameter of NAME must be a callable.*Got 'text'",
        of=WRAPPERS,
    ),
    *rows(
        "model-function-returns-none",
        lambda e, y: e(forgets_return).fit(X, y),
        r"forgets_return must return a keras\.Model; got None.*'return model'",
        TypeError,
        of=WRAPPERS,
    ),
    *rows(
        "model-function-returns-list",
        lambda e, y: e(returns_list).fit(X, y),
        r"returns_list must return a keras\.Model; got \[<Sequential",
        TypeError,
        of=WRAPPERS,
    ),
    *rows(
        "model-function-raises",
        lambda e, y: e(stumbles).fit(X, y),
        r"units must be an int, not 'ten'",
        TypeError,
        of=WRAPPERS,
    ),
    *rows(
        "model-argument-missing",
        lambda e, y: e(needs_units).fit(X, y),
        r"needs_units needs n_units: pass NAME\(needs_units, n_units=\.\.\.\)",
        TypeError,
        of=WRAPPERS,
    ),
    *rows(
        "model-with-two-outputs",
        lambda e, y: e(two_outputs).fit(X, y),
        r"The model has 2 outputs; an estimator takes one output .*Concatenate",
        of=WRAPPERS,
    ),
    *rows(
        "model-with-two-inputs",
        lambda e, y: e(two_inputs).fit(X, y),
        r"The model has 2 inputs; .*one input",
        of=WRAPPERS,
    ),
    *rows(
        "model-with-a-matrix-for-output",
        lambda e, y: e(matrix_output).fit(X, y),
        r"The model's output has shape \(None, 2, 2\); expected \(None, width\).*Flatten",
        of=WRAPPERS,
    ),
    *rows(
        "model-input-of-other-width",
        lambda e, y: e(network(1, inputs=3)).fit(X, y),
        r"model takes rows of shape \(3,\).*X.*\(4,\)",
        of=WRAPPERS,
    ),
    *rows(
        "model-instance-input-of-other-width",
        lambda e, y: e(network(1, inputs=8)()).fit(X, y),
        r"model takes rows of shape \(8,\).*X.*\(4,\)",
        of=WRAPPERS,
    ),
    *rows(
        "model-without-layers",
        lambda e, y: e(keras.Sequential).fit(X, y),
        r"cannot be built because it has no layers",
        of=WRAPPERS,
    ),
    row(
        "output-too-narrow-for-three-classes",
        lambda: KerasClassifier(network(1)).fit(X, THREE),
        r"output has width 1, but a multiclass target .* needs 3 or more; give the last layer 3 or more",
    ),
    row(
        "output-too-narrow-for-one-hot-loss",
        lambda: KerasClassifier(network(1, loss="categorical_crossentropy")).fit(X, BINARY),
        r"output has width 1, but a binary target with the loss 'categorical_crossentropy' needs 2 or more",
    ),
    row(
        "output-too-narrow-for-labels",
        lambda: KerasClassifier(network(2)).fit(X, LABELS),
        r"output has width 2, but a multilabel target .* needs 3; give the last layer 3",
    ),
    row(
        "output-too-wide-for-one-value",
        lambda: KerasRegressor(network(2)).fit(X, VALUES),
        r"output has width 2, but a regression target .* needs 1; give the last layer 1",
    ),
    row(
        "output-too-narrow-for-two-values",
        lambda: KerasRegressor(network(1)).fit(X, PAIRS),
        r"output has width 1, but a regression target .* needs 2; give the last layer 2",
    ),
    row(
        "output-too-narrow-in-initialize",
        lambda: KerasClassifier(network(2)).initialize(X, THREE),
        r"output has width 2, but a multiclass target .* needs 3 or more",
    ),
]

LOSSES = [
    row(
        "loss-sparse-in-regressor",
        lambda: KerasRegressor(network(1, loss="sparse_categorical_crossentropy")).fit(X, VALUES),
        r"loss 'sparse_categorical_crossentropy' is for classes, but the target is continuous.*'mse'",
    ),
    row(
        "loss-sparse-in-regressor-by-the-estimator",
        lambda: KerasRegressor(network(1), loss="sparse_categorical_crossentropy").fit(X, VALUES),
        r"loss 'sparse_categorical_crossentropy' is for classes, but the target is continuous.*'mse'",
    ),
    row(
        "loss-sparse-in-a-list",
        lambda: KerasRegressor(network(1), loss=["sparse_categorical_crossentropy"]).fit(X, VALUES),
        r"loss 'sparse_categorical_crossentropy' is for classes, but the target is continuous.*'mse'",
    ),
    row(
        "loss-one-hot-in-regressor",
        lambda: KerasRegressor(network(2), loss="categorical_crossentropy").fit(X, PAIRS),
        r"loss 'categorical_crossentropy' is for classes, but the target is continuous",
    ),
    row(
        "loss-hinge-in-regressor",
        lambda: KerasRegressor(network(1), loss=keras.losses.Hinge()).fit(X, VALUES),
        r"loss 'hinge' is for classes, but the target is continuous",
    ),
    row(
        "loss-sparse-for-labels",
        lambda: KerasClassifier(network(3, loss="sparse_categorical_crossentropy")).fit(X, LABELS),
        r"'sparse_categorical_crossentropy' takes one class for each row, .*multilabel.*'binary_cross",
    ),
    row(
        "loss-of-shares-for-other-targets",
        lambda: KerasRegressor(network(1, "sigmoid", loss="binary_crossentropy")).fit(X, VALUES),
        r"loss 'binary_crossentropy' takes targets from 0 to 1; got values from -2\.3.* to 1\.8.*'mse'",
    ),
    row(
        "loss-poisson-for-negative-targets",
        lambda: KerasRegressor(network(1), loss="poisson").fit(X, VALUES),
        r"loss 'poisson' takes targets of at least 0; got values from -2\.3.*'mse'",
    ),
    row(
        "loss-logarithmic-for-negative-targets",
        lambda: KerasRegressor(network(1), loss=keras.losses.MeanSquaredLogarithmicError()).fit(X, VALUES),
        r"loss 'mean_squared_logarithmic_error' takes targets of at least 0; got values from -2\.3",
    ),
    *rows(
        "loss-unknown",
        lambda e, y: e(network(1), loss="mze").fit(X, y),
        r"loss='mze'.*keras\.losses",
        of=WRAPPERS,
    ),
    row(
        "loss-unknown-in-a-compiled-model",
        lambda: KerasRegressor(network(1, loss="mze")).fit(X, VALUES),
        r"loss \('mze'\).*cannot be used with y.*keras\.losses",
    ),
    *rows(
        "loss-a-number",
        lambda e, y: e(network(1), loss=3).fit(X, y),
        r"loss \(3\).*cannot be used with y.*keras\.losses",
        of=WRAPPERS,
    ),
    row(
        "losses-two-for-one-output",
        lambda: KerasRegressor(network(1), loss=["mse", "mae"]).fit(X, VALUES),
        r"2 losses.*one output",
    ),
    row(
        "losses-two-in-a-tuple",
        lambda: KerasRegressor(network(1), loss=("mse", "mae")).fit(X, VALUES),
        r"2 losses.*one output",
    ),
    row(
        "loss-missing-in-a-compiled-model",
        lambda: KerasRegressor(network(1, optimizer="adam")).fit(X, VALUES),
        r"compiled without a loss",
    ),
    row(
        "loss-for-a-compiled-model",
        lambda: KerasRegressor(network(1, loss="mse"), loss="mae").fit(X, VALUES),
        r"^loss cannot be honoured: build returns a compiled model \(loss 'mean_squared_error'",
    ),
]

COMPILING = [
    row(
        "optimizer-for-a-compiled-model",
        lambda: KerasRegressor(network(1, loss="mse"), optimizer="adam").fit(X, VALUES),
        r"^optimizer cannot be honoured: build returns a compiled model .*'(?i:sgd).*Leave compiling",
    ),
    row(
        "metrics-for-a-compiled-model",
        lambda: KerasRegressor(network(1, loss="mse"), metrics=["mae"]).fit(X, VALUES),
        r"^metrics cannot be honoured: build returns a compiled model",
    ),
    *rows(
        "routed-rate-for-a-compiled-model",
        lambda e, y: e(optimizer__learning_rate=0.1).fit(X, y),
        r"^optimizer__learning_rate cannot be honoured: build_model returns a compiled model",
        of=WRAPPERS,
    ),
    *rows(
        "routed-rate-negative",
        lambda e, y: e(network(1), optimizer="sgd", optimizer__learning_rate=-0.1).fit(X, y),
        r"learning_rate.*-0\.1.*at least 0",
        of=WRAPPERS,
    ),
    *rows(
        "routed-rate-nan",
        lambda e, y: e(network(1), optimizer="sgd", optimizer__learning_rate=np.nan).fit(X, y),
        r"learning_rate.*nan.*at least 0",
        of=WRAPPERS,
    ),
    row(
        "rate-negative-in-a-compiled-model",
        lambda: KerasRegressor(network(1, loss="mse", optimizer=keras.optimizers.SGD(-0.1))).fit(X, VALUES),
        r"learning_rate.*-0\.1.*at least 0",
    ),
    row(
        "routed-rate-of-text",
        lambda: KerasRegressor(network(1), optimizer="sgd", optimizer__learning_rate="fast").fit(X, VALUES),
        r"learning_rate.*float.*fast",
    ),
    *rows(
        "routed-argument-unknown-to-the-optimizer",
        lambda e, y: e(network(1), optimizer="adam", optimizer__momentum=0.9).fit(X, y),
        r"optimizer='adam'.*optimizer__momentum=0\.9",
        of=WRAPPERS,
    ),
    row(
        "routed-argument-unknown-to-the-loss",
        lambda: KerasRegressor(network(1), loss=keras.losses.Huber, loss__dleta=0.5).fit(X, VALUES),
        r"loss__dleta=0\.5.*unexpected keyword argument 'dleta'",
        TypeError,
    ),
    *rows(
        "optimizer-none",
        lambda e, y: e(network(1), optimizer=None).fit(X, y),
        r"without an optimizer.*'adam'",
        of=WRAPPERS,
    ),
    *rows(
        "optimizer-unknown",
        lambda e, y: e(network(1), optimizer="adamm").fit(X, y),
        r"optimizer='adamm'.*keras\.optimizers",
        of=WRAPPERS,
    ),
    *rows(
        "metric-unknown",
        lambda e, y: e(network(1), metrics=["acuracy"]).fit(X, y),
        r"metrics=\['acuracy'\].*keras\.metrics",
        of=WRAPPERS,
    ),
    row(
        "metric-a-number",
        lambda: KerasRegressor(network(1), metrics=3).fit(X, VALUES),
        r"metrics cannot be used.*(metric identifier: 3|metrics=\[3\]).*keras\.metrics",
    ),
    row(
        "metric-unknown-in-a-compiled-model",
        lambda: KerasRegressor(network(1, loss="mse", metrics=["acuracy"])).fit(X, VALUES),
        r"metrics cannot be used.*metric identifier: acuracy.*keras\.metrics",
    ),
]

CALLBACKS = [
    *rows(
        "callback-of-text",
        lambda e, y: e().fit(X, y, callbacks=["early"]),
        r"callbacks must hold keras\.callbacks\.Callback objects; got 'early'",
        TypeError,
    ),
    *rows(
        "callback-a-function",
        lambda e, y: e(callbacks=[print]).fit(X, y),
        r"callbacks must hold keras\.callbacks\.Callback .*got .*<built-in function print>",
        TypeError,
    ),
    *rows(
        "callbacks-of-text",
        lambda e, y: e(callbacks="early").fit(X, y),
        r"'callbacks' parameter of NAME must be .*'list'.*Got 'early'",
    ),
    *rows(
        "callback-that-cannot-be-copied",
        lambda e, y: e(callbacks=[Locked()]).fit(X, y),
        r"callbacks are copied .*Locked object .*cannot be copied.*lock.*on_train_begin",
        TypeError,
    ),
    *rows(
        "callback-without-validation",
        lambda e, y: e(callbacks=[keras.callbacks.EarlyStopping("val_loss")]).fit(X, y),
        r"EarlyStopping monitors 'val_loss', but this fit has no validation data, and no earlier callback "
        r"that could add such a log; pass validation_data=",
    ),
    row(
        "callback-list-of-keras",
        lambda: KerasMLPRegressor().fit(X, VALUES, callbacks=keras.callbacks.CallbackList()),
        r"callbacks must be a list of callbacks; got a keras\.callbacks\.CallbackList",
        TypeError,
    ),
    row(
        "callback-routed-to-none",
        lambda: KerasRegressor(callbacks__patience=3).fit(X, VALUES),
        r"callbacks__patience.*callbacks=None",
    ),
]

PARAMETERS = [
    *rows(
        "parameter-unknown-in-constructor",
        lambda e, _: e(epoch=3),
        r"Invalid parameter 'epoch' for estimator NAME: its model build_model takes .*own are .*\bepochs",
        TypeError,
        of=WRAPPERS,
    ),
    *rows(
        "parameter-unknown-in-constructor",
        lambda e, _: e(epoch=3),
        r"__init__\(\) got an unexpected keyword argument 'epoch'",
        TypeError,
        of=PERCEPTRONS,
    ),
    *rows(
        "parameter-unknown-in-set-params",
        lambda e, _: e().set_params(epoch=3),
        r"Invalid parameter 'epoch' for estimator NAME.*\bepochs\b",
    ),
    *rows(
        "parameter-routed-to-the-model-unknown",
        lambda e, _: e(model__n_layers=3),
        r"Invalid parameter 'model__n_layers' for estimator NAME: its model build_model takes n_hidden",
        TypeError,
        of=WRAPPERS,
    ),
    *rows(
        "parameter-routed-to-the-model-unknown-in-set-params",
        lambda e, _: e(needs_units).set_params(model__n_unit=3),
        r"Invalid parameter 'model__n_unit' for estimator NAME: its model needs_units takes n_units",
        of=WRAPPERS,
    ),
    *rows(
        "parameter-of-a-model-without-parameters",
        lambda e, _: e(network(1)(), n_units=3),
        r"Invalid parameter 'n_units' for estimator NAME: its model .*takes no parameters",
        TypeError,
        of=WRAPPERS,
    ),
    *rows(
        "parameter-with-unknown-route",
        lambda e, _: e(optimiser__momentum=0.5),
        r"Invalid parameter 'optimiser__momentum' for estimator NAME.*routed ones begin with .*optimizer__",
        TypeError,
        of=WRAPPERS,
    ),
    *rows(
        "parameter-routed-to-fit-unknown",
        lambda e, y: e(fit__epoch=3).fit(X, y),
        r"Invalid parameter 'fit__epoch' for estimator NAME.*epochs",
        TypeError,
        of=WRAPPERS,
    ),
    *rows(
        "validation-data-routed-to-fit",
        lambda e, y: e(fit__validation_data=(X, y)).fit(X, y),
        r"Invalid parameter 'fit__validation_data' for estimator NAME",
        TypeError,
        of=WRAPPERS,
    ),
    *rows(
        "parameter-routed-to-predict-unknown",
        lambda e, y: e(predict__batchsize=3).fit(X, y),
        r"Invalid parameter 'predict__batchsize' for estimator NAME.*batch_size",
        TypeError,
        of=WRAPPERS,
    ),
    *rows(
        "parameter-routed-to-compile-unknown",
        lambda e, y: e(network(1), compile__metric="mae").fit(X, y),
        r"Invalid parameter 'compile__metric' for estimator NAME.*metrics",
        TypeError,
        of=WRAPPERS,
    ),
    *rows(
        "parameter-routed-to-fit-zero",
        lambda e, y: e(fit__batch_size=0).fit(X, y),
        r"'fit__batch_size' parameter of NAME must be an int in the range \[1, inf\).*Got 0",
        of=WRAPPERS,
    ),
    row(
        "class-weight-routed-to-fit-of-a-regressor",
        lambda: KerasRegressor(fit__class_weight={0: 2.0}).fit(X, VALUES),
        r"fit__class_weight.*KerasRegressor",
    ),
    row(
        "class-weight-of-a-regressor",
        lambda: KerasRegressor(class_weight="balanced"),
        r"Invalid parameter 'class_weight' for estimator KerasRegressor",
        TypeError,
    ),
    *rows(
        "fit-argument-unknown",
        lambda e, y: e().fit(X, y, epoch=3),
        r"^NAME\.fit\(\) got an unexpected keyword argument 'epoch': did you mean 'epochs'\? It takes X, y, ",
        TypeError,
    ),
    *rows(
        "epochs-zero",
        lambda e, y: e(epochs=0).fit(X, y),
        r"'epochs' parameter of NAME must be an int in the range \[1, inf\).*Got 0",
    ),
    *rows(
        "epochs-negative-in-fit",
        lambda e, y: e().fit(X, y, epochs=-1),
        r"'epochs' parameter of NAME\.fit must be an int in the range \[1, inf\)\. Got -1",
    ),
    *rows(
        "epochs-fractional",
        lambda e, y: e(epochs=2.5).fit(X, y),
        r"'epochs' parameter of NAME must be an int .*Got 2\.5",
    ),
    *rows(
        "initial-epoch-too-late",
        lambda e, y: e(epochs=3).fit(X, y, initial_epoch=3),
        r"epochs=3, where training ends, must be greater than initial_epoch=3, where it begins.*more",
    ),
    *rows(
        "batch-size-zero",
        lambda e, y: e(batch_size=0).fit(X, y),
        r"'batch_size' parameter of NAME must be an int in the range \[1, inf\).*Got 0",
    ),
    *rows(
        "batch-size-zero-in-fit",
        lambda e, y: e().fit(X, y, batch_size=0),
        r"'batch_size' parameter of NAME\.fit must be an int in the range \[1, inf\).*Got 0",
    ),
    *rows(
        "steps-per-epoch-zero",
        lambda e, y: e().fit(X, y, steps_per_epoch=0),
        r"'steps_per_epoch' parameter of NAME\.fit must be an int in the range \[1, inf\).*Got 0",
    ),
    *rows(
        "validation-split-of-all-rows",
        lambda e, y: e().fit(X, y, validation_split=1.0),
        r"'validation_split' parameter of NAME\.fit must be a float in the range \[0\.0, 1\.0\)\. Got 1\.0",
    ),
    *rows(
        "validation-fraction-of-all-rows",
        lambda e, y: e(early_stopping=True, validation_fraction=1.0).fit(X, y),
        r"'validation_fraction' parameter of NAME must be a float in the range \(0\.0, 1\.0\)\. Got 1\.0",
    ),
    *rows(
        "patience-negative",
        lambda e, y: e(early_stopping=True, patience=-1).fit(X, y),
        r"'patience' parameter of NAME must be an int in the range \[0, inf\) or None\. Got -1",
    ),
    *rows(
        "min-delta-nan",
        lambda e, y: e(early_stopping=True, min_delta=np.nan).fit(X, y),
        r"'min_delta' parameter of NAME must be a float in the range \[0\.0, inf\)\. Got nan",
    ),
    *rows(
        "random-state-of-text",
        lambda e, y: e(random_state="zero").fit(X, y),
        r"'random_state' parameter of NAME must be an int .*Got 'zero'",
    ),
    *rows(
        "shuffle-of-text",
        lambda e, y: e().fit(X, y, shuffle="batch"),
        r"'shuffle' parameter of NAME\.fit must be .*'bool'.*Got 'batch'",
    ),
    row(
        "validation-batch-size-zero",
        lambda: KerasRegressor(validation_batch_size=0).fit(X, VALUES),
        r"'validation_batch_size' parameter of KerasRegressor must be an int in the range \[1, inf\).*Got 0",
    ),
]

NETWORKS = [
    *rows(
        "rate-negative",
        lambda e, y: e(learning_rate=-0.1).fit(X, y),
        r"learning_rate.* must be .*(positive|\(0\.0, inf\)).*[Gg]ot -0\.1",
    ),
    *rows(
        "rate-zero",
        lambda e, y: e(learning_rate=0).fit(X, y),
        r"learning_rate.* must be .*(positive|\(0\.0, inf\)).*[Gg]ot 0",
    ),
    *rows(
        "rate-nan",
        lambda e, y: e(learning_rate=np.nan).fit(X, y),
        r"learning_rate.* must be .*(positive|\(0\.0, inf\)).*[Gg]ot nan",
    ),
    *rows(
        "rate-true",
        lambda e, y: e(learning_rate=True).fit(X, y),
        r"learning_rate must be a positive finite number.*got True \(of type bool\)",
        TypeError,
    ),
    *rows(
        "dropout-of-all",
        lambda e, y: e(dropout=1.0).fit(X, y),
        r"dropout.* must be .*\[0(\.0)?, 1(\.0)?\).*[Gg]ot 1\.0",
    ),
    *rows(
        "l2-negative", lambda e, y: e(l2=-0.5).fit(X, y), r"l2.* must be .*(>= 0|\[0\.0, inf\)).*[Gg]ot -0\.5"
    ),
    *rows(
        "momentum-of-adam",
        lambda e, y: e(optimizer="adam", momentum=0.9).fit(X, y),
        r"optimizer Adam takes no momentum; got momentum=0\.9: leave it None or use one of .*'sgd'",
    ),
    *rows(
        "momentum-of-one",
        lambda e, y: e(optimizer="sgd", momentum=1.0).fit(X, y),
        r"momentum.* must be .*\[0(\.0)?, 1(\.0)?\).*[Gg]ot 1\.0",
    ),
    *rows(
        "clipnorm-zero",
        lambda e, y: e(clipnorm=0).fit(X, y),
        r"clipnorm.* must be .*(> 0|\(0\.0, inf\)).*[Gg]ot 0",
    ),
    *rows(
        "optimizer-misspelt",
        lambda e, y: e(optimizer="adamm").fit(X, y),
        r"optimizer must be .*'adam'.*; got 'adamm'",
    ),
    *rows(
        "optimizer-a-class",
        lambda e, y: e(optimizer=keras.optimizers.Adam).fit(X, y),
        r"optimizer must be a keras\.optimizers\.Optimizer instance or .*got <class '.*Adam'>",
        TypeError,
    ),
    *rows(
        "activation-misspelt",
        lambda e, y: e(activation="reluu").fit(X, y),
        r"activation must be one of .*'relu'.*; got 'reluu'",
    ),
    *rows(
        "initializer-misspelt",
        lambda e, y: e(kernel_initializer="he").fit(X, y),
        r"kernel_initializer must be 'auto' or the name .*'he_normal'.*; got 'he'",
    ),
    *rows(
        "neurons-zero",
        lambda e, y: e(n_neurons=0).fit(X, y),
        r"n_neurons.* must be .*(positive integer|\[1, inf\)).*[Gg]ot 0",
    ),
    *rows(
        "neurons-zero-in-a-layer",
        lambda e, y: e(n_neurons=(5, 0)).fit(X, y),
        r"n_neurons\[1\] must be an integer >= 1; got 0",
    ),
    *rows(
        "neurons-of-other-length",
        lambda e, y: e(n_hidden=3, n_neurons=(5, 5)).fit(X, y),
        r"n_hidden must be left at 1 or 2, the length of n_neurons; got 3",
    ),
    *rows(
        "layers-negative",
        lambda e, y: e(n_hidden=-1).fit(X, y),
        r"n_hidden.* must be .*(>= 0|\[0, inf\)).*[Gg]ot -1",
    ),
    *rows(
        "taper-zero", lambda e, y: e(taper=0).fit(X, y), r"taper.* must be .*\(0(\.0)?, 1(\.0)?\].*[Gg]ot 0"
    ),
    *rows(
        "dtype-half",
        lambda e, y: e(dtype="float16").fit(X, y),
        r"'dtype' parameter of NAME must be a str among \{.*'float32'.*\}\. Got 'float16'",
        of=PERCEPTRONS,
    ),
]

FOLDERS = [
    *rows(
        "load-missing-folder",
        lambda e, _: e.load("nowhere"),
        r"cannot load an estimator from nowhere: .*No such file.*estimator\.json",
    ),
    *rows(
        "load-empty-folder",
        lambda e, _: e.load(emptied("empty")),
        r"cannot load an estimator from empty: .*No such file.*estimator\.json",
    ),
    row(
        "load-other-class",
        lambda: KerasRegressor.load(saved(fitted("three"), "kept")),
        r"kept contains a KerasMLPClassifier, not a KerasRegressor",
        TypeError,
    ),
    row(
        "load-damaged-model",
        lambda: KerasMLPClassifier.load(saved(fitted("three"), "kept", damaged="model.keras")),
        r"cannot load an estimator from kept: its model\.keras is not the file that was saved.*digest",
    ),
    row(
        "load-damaged-manifest",
        lambda: KerasMLPClassifier.load(saved(fitted("three"), "kept", damaged="estimator.json")),
        r"cannot load an estimator from kept: its estimator\.json does not describe an estimator",
    ),
    row(
        "load-with-unknown-parameter",
        lambda: KerasMLPClassifier.load(saved(fitted("three"), "kept"), epoch=3),
        r"^(?!cannot load).*'epoch'.*KerasMLPClassifier",
    ),
    row(
        "save-mixed-labels",
        lambda: with_mixed_labels().save("kept"),
        r"save needs labels that are numbers or strings; got objects of type int, str",
        TypeError,
    ),
]

ROWS = [
    *FEATURES,
    *TARGETS,
    *WEIGHTS,
    *VALIDATION,
    *CONTINUED,
    *ASKED,
    *MODELS,
    *LOSSES,
    *COMPILING,
    *CALLBACKS,
    *PARAMETERS,
    *NETWORKS,
    *FOLDERS,
]


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(("call", "error", "message"), ROWS)
def test_a_malformed_call_is_refused_with_a_clear_message_before_training(
    call: Callable[[], Any],
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=re.compile(message, re.DOTALL)) as caught:
        call()
    said = str(caught.value)
    assert not re.search(r"\x1b|tf\.Tensor|Exception encountered", said), "Keras' own trace is in the message"


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(
            lambda classifier: classifier.fit(FRAME.rename(columns={"a": "z"}), with_value(BINARY, np.nan)),
            "Input y contains NaN",
            id="data",
        ),
        pytest.param(
            lambda classifier: classifier.fit(X[:, :3], np.full(20, "z")), "y has 1 class", id="target"
        ),
        pytest.param(
            lambda classifier: classifier.fit(X, VALUES > 0, validation_data=(X,)),
            "validation_data must be a tuple",
            id="validation",
        ),
        pytest.param(
            lambda classifier: classifier.initialize(X, np.full(20, "z")), "y has 1 class", id="initialize"
        ),
        pytest.param(
            lambda classifier: classifier.fit(X, VALUES > 0), "training started", id="failure-in-training"
        ),
    ],
)
def test_a_refused_fit_leaves_a_fitted_estimator_as_it_was(call: Callable[[Any], Any], message: str) -> None:
    classifier = copy.deepcopy(fitted("letters")).set_params(warm_start=False)
    before = classifier.predict_proba(X)
    with pytest.raises((TypeError, ValueError, pytest.fail.Exception), match=message):
        call(classifier)
    assert classifier.classes_.tolist() == ["a", "b"]
    np.testing.assert_array_equal(classifier.predict_proba(X), before)
