"""What users of scikeras write: encoders, `_keras_build_fn`, Keras' arguments of predict, callbacks."""

import copy
import functools
import pickle
from typing import Any

import keras
import numpy as np
import pytest
from sklearn import model_selection
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.multiclass import type_of_target

from kerashp import KerasClassifier, KerasMLPRegressor, KerasRegressor
from kerashp.model_selection import GridSearchCV
from kerashp.model_selection._fits.heldout_predictions import heldout_predictions
from kerashp.model_selection._planning.fingerprint import fingerprint

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 4)).astype("float32")
VALUES = np.column_stack([X[:, 0] + X[:, 2], X[:, 1] - X[:, 3]]).astype("float32")
THREE = np.digitize(X[:, 0], [-0.5, 0.5])
LETTERS = np.array(["a", "b", "c"])[THREE]
PAIRS = np.column_stack([THREE, X[:, 1] > 0])
LABELS = (X[:, :2] > 0).astype(int)


def linear(n_units: int = 4, input_shape: Any = (4,), n_outputs: int = 1) -> keras.Model:
    layers = [keras.layers.Dense(n_units, "relu"), keras.layers.Dense(n_outputs)]
    return keras.Sequential([keras.Input(input_shape), *layers])


def halves(rows: np.ndarray) -> dict[str, np.ndarray]:
    return {"left": rows[:, :2], "right": rows[:, 2:]}


def joined_network(outputs: list[tuple[str, int, Any]], n_units: int) -> keras.Model:
    left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
    hidden = [keras.layers.Dense(n_units, "relu")(half) for half in (left, right)]
    both = keras.layers.Concatenate()(hidden)
    heads = [keras.layers.Dense(width, activation, name=name)(both) for name, width, activation in outputs]
    return keras.Model({"left": left, "right": right}, heads)


class Columns(TransformerMixin, BaseEstimator):
    """One target for each column of y."""

    def fit(self, y: np.ndarray) -> "Columns":
        self.n_columns_ = y.shape[1]
        return self

    def transform(self, y: np.ndarray) -> list[np.ndarray]:
        return [column.reshape(-1, 1) for column in y.T]

    def inverse_transform(self, y: list[np.ndarray]) -> np.ndarray:
        return np.column_stack(y)

    def get_metadata(self) -> dict[str, Any]:
        return {"n_outputs_expected_": self.n_columns_, "n_columns_": self.n_columns_}


class LabelColumns(Columns):
    """The same for classes 0, 1, ... in each column."""

    def inverse_transform(self, y: list[np.ndarray], return_proba: bool = False) -> Any:
        return y if return_proba else np.column_stack([column.argmax(axis=1) for column in y])


class TwoHeads(KerasRegressor):
    """Two inputs and two outputs."""

    def _keras_build_fn(self, meta: dict[str, Any], compile_kwargs: dict[str, Any], n_units: int = 4) -> Any:
        names = [(f"head{column}", 1, None) for column in range(meta["n_columns_"])]
        model = joined_network(names, n_units)
        model.compile(**compile_kwargs)
        return model

    @property
    def target_encoder(self) -> Columns:
        return Columns()

    @property
    def feature_encoder(self) -> FunctionTransformer:
        return FunctionTransformer(halves)


class TwoClassifiers(KerasClassifier):
    """Two columns of classes from two inputs."""

    def _keras_build_fn(self, compile_kwargs: dict[str, Any], n_units: int = 8) -> Any:
        widths = [len(classes) for classes in self.classes_]
        outputs = [(f"head{column}", width, "softmax") for column, width in enumerate(widths)]
        model = joined_network(outputs, n_units)
        model.compile(**compile_kwargs)
        return model

    @property
    def target_encoder(self) -> LabelColumns:
        return LabelColumns()

    @property
    def feature_encoder(self) -> FunctionTransformer:
        return FunctionTransformer(halves)


def two_heads(**params: Any) -> TwoHeads:
    return TwoHeads(
        **{"loss": "mse", "optimizer": "adam", "optimizer__learning_rate": 0.05, "random_state": 0, **params}
    )


# Encoders.


def test_encoders_lead_to_a_model_of_several_inputs_and_outputs() -> None:
    fitted = two_heads(epochs=20).fit(X, VALUES)
    assert fitted.n_columns_ == 2
    assert [tensor.name for tensor in fitted.model_.inputs] == ["left", "right"]
    assert fitted.predict(X).shape == VALUES.shape
    expected = np.column_stack(fitted.model_.predict(halves(X), verbose=0))
    np.testing.assert_allclose(fitted.predict(X), expected, rtol=1e-5, atol=1e-6)
    assert fitted.score(X, VALUES) == pytest.approx(r2_score(VALUES, expected), abs=1e-5)
    assert fitted.score(X, VALUES) > 0.9


def test_encoders_train_as_the_model_does_by_itself() -> None:
    estimator = two_heads(epochs=3, batch_size=40, shuffle=False, warm_start=True).initialize(X, VALUES)
    alone = joined_network([("head0", 1, None), ("head1", 1, None)], 4)
    alone.set_weights(estimator.model_.get_weights())
    alone.compile(loss="mse", optimizer=keras.optimizers.Adam(0.05))
    targets = [VALUES[:, :1], VALUES[:, 1:]]
    history = alone.fit(halves(X), targets, epochs=3, batch_size=40, shuffle=False, verbose=0).history
    estimator.fit(X, VALUES)
    for name in ("loss", "head0_loss", "head1_loss"):
        np.testing.assert_allclose(estimator.history_[name], history[name], rtol=1e-4)


@pytest.mark.parametrize("how", ["validation_data", "validation_split", "early_stopping"])
def test_rows_to_validate_on_are_encoded_too(how: str) -> None:
    options: dict[str, Any] = (
        {} if how == "validation_data" else {how: {"validation_split": 0.25}.get(how, True)}
    )
    call = {"validation_data": (X[:24], VALUES[:24])} if how == "validation_data" else {}
    fitted = two_heads(epochs=2, **options).fit(X, VALUES, **call)
    assert len(fitted.history_["val_loss"]) == 2
    if how == "validation_data":
        expected = fitted.model_.evaluate(
            halves(X[:24]), [VALUES[:24, :1], VALUES[:24, 1:]], verbose=0, return_dict=True
        )
        assert fitted.history_["val_loss"][-1] == pytest.approx(expected["loss"], rel=1e-4)


def test_rows_of_weight_zero_are_left_out_before_they_are_encoded() -> None:
    weight = np.repeat([1.0, 0.0], len(X) // 2)
    weighted = two_heads(epochs=3).fit(X, VALUES, sample_weight=weight)
    half = two_heads(epochs=3).fit(X[:48], VALUES[:48])
    np.testing.assert_allclose(weighted.predict(X), half.predict(X), rtol=1e-4, atol=1e-5)


def test_columns_of_classes_come_back_as_labels() -> None:
    estimator = TwoClassifiers(
        loss="sparse_categorical_crossentropy",
        optimizer="adam",
        optimizer__learning_rate=0.05,
        epochs=30,
        random_state=0,
    )
    fitted = estimator.fit(X, PAIRS)
    assert [classes.tolist() for classes in fitted.classes_] == [[0, 1, 2], [0, 1]]
    assert fitted.target_type_ == type_of_target(PAIRS)
    assert (fitted.predict(X) == PAIRS).mean(axis=0).min() > 0.8
    proba = fitted.predict_proba(X)
    assert [column.shape for column in proba] == [(96, 3), (96, 2)]
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_several_columns_of_classes_need_an_encoder() -> None:
    with pytest.raises(ValueError, match=r"multiclass-multioutput.*or override target_encoder in a subclass"):
        KerasClassifier().fit(X, PAIRS)


def test_a_search_over_encoders_trains_together_with_the_scores_of_scikit_learns() -> None:
    estimator, grid = two_heads(epochs=4, batch_size=48), {"n_units": [2, 5]}
    ours = GridSearchCV(estimator, grid, cv=2, error_score="raise").fit(X, VALUES)
    theirs = model_selection.GridSearchCV(estimator, grid, cv=2, error_score="raise", refit=False)
    theirs.fit(X, VALUES)
    assert [len(group.fits) for group in ours.plan_.groups] == [2, 2]
    assert ours.plan_.alone == ()
    scores = [one.cv_results_["mean_test_score"] for one in (ours, theirs)]
    np.testing.assert_allclose(*scores, rtol=1e-3)
    assert ours.best_estimator_.model_.get_layer("head1").units == 1
    assert ours.best_estimator_.n_units == ours.best_params_["n_units"]


def test_a_search_over_columns_of_classes_scores_each_fold() -> None:
    estimator = TwoClassifiers(loss="sparse_categorical_crossentropy", epochs=2, random_state=0)

    def exact(fitted: Any, rows: np.ndarray, y: np.ndarray) -> float:
        return float((fitted.predict(rows) == y).all(axis=1).mean())

    found = GridSearchCV(estimator, {"n_units": [4, 8]}, cv=2, scoring=exact).fit(X, PAIRS)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    assert found.predict(X).shape == PAIRS.shape


class OneOutput(KerasClassifier):
    """The default encoder, asked for and changed a little."""

    @property
    def target_encoder(self) -> Any:
        encoder = super().target_encoder
        encoder.categories = "auto" if self.classes_ is None else [self.classes_]
        return encoder


def test_an_override_may_start_from_the_default_encoder() -> None:
    fitted = OneOutput(epochs=2, random_state=0).partial_fit(X[:10], LETTERS[:10], classes=["a", "b", "c"])
    assert fitted.classes_.tolist() == ["a", "b", "c"]
    assert set(fitted.predict(X)) <= {"a", "b", "c"}


class Blank(KerasRegressor):
    @property
    def target_encoder(self) -> Columns:
        return Columns()


def test_models_that_do_not_fit_an_encoder_are_refused_before_training() -> None:
    with pytest.raises(
        ValueError, match=r"1 output\(s\), but the target_encoder of Blank makes targets for 2"
    ):
        Blank(linear, loss="mse").fit(X, VALUES)
    with pytest.raises(ValueError, match=r"compiled without a loss: provide a loss, such as 'mse'"):
        two_heads(loss=[None, None]).fit(X, VALUES)
    with pytest.raises(
        ValueError, match=r"does not take rows of shape of the feature_encoder, \{'left': \(2,\)"
    ):
        TwoHeadsOfOneInput(linear, loss="mse").fit(X, VALUES[:, 0])


class TwoHeadsOfOneInput(KerasRegressor):
    @property
    def feature_encoder(self) -> FunctionTransformer:
        return FunctionTransformer(halves)


class SecondsSince(KerasRegressor):
    """Rows of times, which float32 knows to about two minutes."""

    @property
    def feature_encoder(self) -> FunctionTransformer:
        return FunctionTransformer(lambda times: times - 1.6e9)


def test_an_encoder_of_features_gets_all_digits() -> None:
    seconds, y = X.astype(float), VALUES[:, 0]
    held_out = (seconds[:20] + 1.6e9, y[:20])
    times = SecondsSince(linear, loss="mse", epochs=3, random_state=0)
    times.fit(seconds + 1.6e9, y, validation_data=held_out)
    plain = KerasRegressor(linear, loss="mse", epochs=3, random_state=0)
    plain.fit(seconds, y, validation_data=(seconds[:20], y[:20]))
    np.testing.assert_allclose(times.predict(seconds + 1.6e9), plain.predict(seconds), atol=1e-4)
    np.testing.assert_allclose(times.history_["val_loss"], plain.history_["val_loss"], rtol=1e-4)
    grid: dict[str, Any] = {"n_units": [2, 5]}
    scores = [
        GridSearchCV(estimator.set_params(epochs=2), grid, cv=2).fit(rows, y).cv_results_["mean_test_score"]
        for estimator, rows in ((times, seconds + 1.6e9), (plain, seconds))
    ]
    np.testing.assert_allclose(*scores, rtol=1e-3)


def test_what_an_encoder_of_features_gives_is_checked() -> None:
    class TooLarge(KerasRegressor):
        @property
        def feature_encoder(self) -> FunctionTransformer:
            return FunctionTransformer(lambda rows: rows * 1e60)

    rows = X.astype(float)
    with pytest.raises(
        ValueError, match=r"Input X, as the feature_encoder of TooLarge returns it, contains infinity"
    ):
        TooLarge(linear, loss="mse").fit(rows, VALUES[:, 0])
    with pytest.raises(ValueError, match=r"Input X contains infinity"):
        KerasRegressor(linear, loss="mse").fit(rows * 1e60, VALUES[:, 0])


def test_batches_of_all_rows_are_those_of_one_array() -> None:
    with pytest.raises(
        ValueError, match=r"`batch_size=-1` requires that `X` implement `shape`.*number of rows"
    ):
        two_heads(batch_size=-1).fit(X, VALUES)
    with pytest.raises(ValueError, match=r"`batch_size=-1` requires that `X` implement `shape`"):
        two_heads(predict__batch_size=-1).fit(X, VALUES).predict(X)


def test_an_estimator_with_encoders_is_kept_by_pickle_only(tmp_path) -> None:
    with pytest.raises(TypeError, match=r"target_encoder and feature_encoder of TwoHeads.*pickle or joblib"):
        two_heads().fit(X, VALUES).save(tmp_path)


class Halves(TransformerMixin, BaseEstimator):
    def fit(self, y: np.ndarray) -> "Halves":
        self.classes_ = np.unique(y)
        return self

    def transform(self, y: np.ndarray) -> np.ndarray:
        return y.astype("float32").reshape(-1, 1)

    def inverse_transform(self, y: np.ndarray, return_proba: bool = False) -> np.ndarray:
        return np.hstack([1 - y, y]) if return_proba else self.classes_[(y[:, 0] > 0.5).astype(int)]


class OneColumn(KerasClassifier):
    @property
    def target_encoder(self) -> Halves:
        return Halves()

    def _keras_build_fn(self, meta: dict[str, Any]) -> keras.Model:
        inputs = keras.Input((meta["n_features_in_"],))
        return keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(inputs))


def of_width(width: int) -> KerasRegressor:
    class Wide(KerasRegressor):
        def _keras_build_fn(self) -> keras.Model:
            return linear(width)

    return Wide(loss="mse")


def test_a_journal_sees_that_the_code_of_a_subclass_has_changed() -> None:
    assert fingerprint(of_width(3)) == fingerprint(of_width(3))
    assert fingerprint(of_width(3)) != fingerprint(of_width(4))


def test_probabilities_of_an_encoder_enter_no_ensemble() -> None:
    y = LABELS[:, 0]

    def first_rows(_: Any) -> tuple[np.ndarray, np.ndarray]:
        return X[:10], y[:10]

    own = OneColumn(loss="binary_crossentropy", random_state=0).fit(X, y)
    assert own.predict_proba(X).shape == (96, 2)
    assert heldout_predictions(own, first_rows, y) is None
    assert heldout_predictions(KerasClassifier(random_state=0).fit(X, y), first_rows, y).shape == (10, 2)


# `_keras_build_fn` and `build_fn`.


class OwnBuild(KerasRegressor):
    def _keras_build_fn(
        self, meta: dict[str, Any], compile_kwargs: dict[str, Any], n_units: int = 3, activation: str = "relu"
    ) -> keras.Model:
        layers = [keras.layers.Dense(n_units, activation), keras.layers.Dense(meta["n_outputs_"])]
        model = keras.Sequential([keras.Input((meta["n_features_in_"],)), *layers])
        model.compile(**compile_kwargs)
        return model


def test_the_method_of_a_subclass_builds_the_model_with_its_arguments_as_parameters() -> None:
    estimator = OwnBuild(n_units=7, loss="mae", optimizer="adam", optimizer__learning_rate=0.02)
    assert {name: estimator.get_params()[name] for name in ("model", "n_units", "activation")} == {
        "model": None,
        "n_units": 7,
        "activation": "relu",
    }
    assert repr(estimator).startswith("OwnBuild(n_units=7, loss='mae'")
    fitted = clone(estimator).set_params(activation="tanh").fit(X, VALUES[:, 0])
    assert fitted.model_.layers[0].units == 7
    assert fitted.model_.layers[0].activation.__name__ == "tanh"
    assert fitted.model_.loss.__name__ == "mean_absolute_error"
    assert float(fitted.model_.optimizer.learning_rate.numpy()) == pytest.approx(0.02)
    with pytest.raises(
        TypeError, match=r"Invalid parameter 'n_trees' .*_keras_build_fn takes n_units, activ"
    ):
        OwnBuild(n_trees=3)


def test_a_method_and_a_model_at_once_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"OwnBuild cannot implement ``_keras_build_fn`` and have the model lin"
    ):
        OwnBuild(linear).fit(X, VALUES[:, 0])


class FewParameters(KerasRegressor):
    """scikit-learn's style: its own `__init__`, which takes no others."""

    def __init__(self, n_units: int = 5, double: bool = False):
        super().__init__(loss="mse", epochs=2)
        self.n_units = n_units
        self.double = double

    def _keras_build_fn(self, n_units: int) -> keras.Model:
        return linear(2 * n_units if self.double else n_units)


def test_a_subclass_with_an_init_of_its_own_is_cloned_and_searched() -> None:
    estimator = clone(FewParameters(n_units=3).set_params(epochs=1, double=True))
    assert (estimator.n_units, estimator.epochs, estimator.double) == (3, 1, True)
    assert estimator.fit(X, VALUES[:, 0]).model_.layers[0].units == 6
    found = GridSearchCV(FewParameters(), {"n_units": [2], "double": [True, False]}, cv=2, refit=False)
    found.fit(X, VALUES[:, 0])
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()


def test_the_old_name_of_the_model_warns_and_works() -> None:
    with pytest.warns(
        DeprecationWarning, match=r"KerasRegressor\(build_fn=...\).*KerasRegressor\(model=linear\)"
    ):
        estimator = KerasRegressor(build_fn=linear, loss="mse", n_units=6)
    assert estimator.model is linear
    assert "build_fn" not in estimator.get_params()
    assert estimator.fit(X, VALUES[:, 0]).model_.layers[0].units == 6
    with pytest.warns(DeprecationWarning, match="model=linear"):
        assert KerasRegressor().set_params(build_fn=linear).model is linear
    with pytest.raises(TypeError, match="got both model=linear and build_fn=linear"):
        KerasRegressor(linear, build_fn=linear)
    with pytest.raises(TypeError, match="got both model=linear and build_fn=linear"):
        KerasRegressor().set_params(model=linear, build_fn=linear)


class LossOfItsOwn(KerasRegressor):
    def __init__(self, model: Any = None, loss: Any = "mae", **params: Any):
        super().__init__(model, loss=loss, **params)


def test_the_default_loss_of_a_subclass_is_no_word_on_a_compiled_model() -> None:
    def compiled() -> keras.Model:
        model = linear()
        model.compile(loss="mse")
        return model

    assert LossOfItsOwn(compiled).fit(X, VALUES[:, 0]).model_.loss == "mse"
    with pytest.raises(ValueError, match=r"loss cannot be honoured.*but model compiled with"):
        LossOfItsOwn(compiled, loss="mape").fit(X, VALUES[:, 0])


# Model functions with `**kwargs`.


def test_a_function_with_any_arguments_gets_what_scikeras_hands_over() -> None:
    got: dict[str, Any] = {}

    def build(n_units: int = 3, **kwargs: Any) -> keras.Model:
        got.update(kwargs)
        meta = kwargs["meta"]
        model = linear(n_units, (meta["n_features_in_"],), meta["n_classes_"])
        model.compile(**kwargs["compile_kwargs"])
        return model

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    options = {"loss": loss, "optimizer": "adam", "optimizer__learning_rate": 0.02}
    estimator = KerasClassifier(build, model__depth=2, width=5, **options)
    fitted = estimator.fit(X, THREE)
    assert set(got) == {"depth", "width", "meta", "compile_kwargs", "params"}
    assert (got["depth"], got["width"], got["meta"]["X_shape_"]) == (2, 5, (96, 4))
    assert got["meta"]["classes_"].tolist() == [0, 1, 2]
    assert got["params"] == estimator.get_params()
    assert not {"meta", "compile_kwargs", "params"} & set(got["params"])
    assert fitted.model_.optimizer is got["compile_kwargs"]["optimizer"]
    assert float(fitted.model_.optimizer.learning_rate.numpy()) == pytest.approx(0.02)
    assert fitted.model_.layers[0].units == 3


def test_a_method_with_any_arguments_gets_it_too() -> None:
    class OfAny(KerasRegressor):
        def _keras_build_fn(self, **kwargs: Any) -> keras.Model:
            return linear(kwargs["n_units"], (kwargs["meta"]["n_features_in_"],))

    assert OfAny(loss="mse", n_units=7).fit(X, VALUES[:, 0]).model_.layers[0].units == 7
    build = functools.partial(lambda scale, **kwargs: linear(scale * kwargs["params"]["n_units"]), 2)
    assert KerasRegressor(build, loss="mse", n_units=3).fit(X, VALUES[:, 0]).model_.layers[0].units == 6


class Subclassed(keras.Model):
    def __init__(self, n_units: int = 4, **kwargs: Any):
        super().__init__(**kwargs)
        self.hidden, self.out = keras.layers.Dense(n_units), keras.layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.out(self.hidden(inputs))


def of_meta(meta: dict[str, Any], n_units: int = 4) -> keras.Model:
    return linear(n_units, (meta["n_features_in_"],))


@pytest.mark.parametrize(
    "build",
    [
        lambda **kwargs: linear(**kwargs),
        lambda **kwargs: of_meta(**kwargs),
        lambda **kwargs: Subclassed(**kwargs),
        Subclassed,
        lambda input_shape, epochs, **kwargs: linear(kwargs["n_units"], input_shape, n_outputs=epochs),
    ],
    ids=["none", "meta", "layer", "class", "named"],
)
def test_arguments_that_are_passed_on_may_be_refused(build: Any) -> None:
    fitted = KerasRegressor(build, loss="mse", n_units=6).fit(X, VALUES[:, 0])
    assert fitted.model_.layers[0].units == 6
    found = GridSearchCV(KerasRegressor(build, loss="mse"), {"n_units": [2, 5]}, cv=2).fit(X, VALUES[:, 0])
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()


def test_an_error_of_the_function_itself_is_raised() -> None:
    def build(**_: Any) -> keras.Model:
        return linear(unites=3)

    with pytest.raises(TypeError, match=r"linear\(\) got an unexpected keyword argument 'unites'"):
        KerasRegressor(build, loss="mse").fit(X, VALUES[:, 0])


def test_compiling_without_the_offered_arguments_is_refused_by_name() -> None:
    def build(**_: Any) -> keras.Model:
        model = linear()
        model.compile(loss="mse", optimizer="sgd")
        return model

    assert KerasRegressor(build).fit(X, VALUES[:, 0]).model_.loss == "mse"
    with pytest.raises(ValueError, match=r"optimizer cannot be honoured: build returns a compiled model"):
        KerasRegressor(build, optimizer="adam").fit(X, VALUES[:, 0])


# Keras' arguments of a call.


def test_predictions_and_scores_take_the_arguments_of_keras(predict_calls: list[dict[str, Any]]) -> None:
    classifier = KerasClassifier(random_state=0, predict__batch_size=7).fit(X, LETTERS)
    plain = KerasClassifier(random_state=0).fit(X, LETTERS)
    for asked in (
        classifier.predict(X, verbose=0) == plain.predict(X),
        classifier.predict_proba(X, batch_size=5, verbose=0) - plain.predict_proba(X) < 1e-6,
        classifier.score(X, LETTERS, verbose=0) == plain.score(X, LETTERS),
    ):
        assert np.all(asked)
    assert [call["batch_size"] for call in predict_calls] == [7, 5, 7]
    assert [call["verbose"] for call in predict_calls] == [0, 0, 0]
    regressor = KerasRegressor(random_state=0).fit(X, VALUES[:, 0])
    np.testing.assert_allclose(
        regressor.predict(X, batch_size=10, verbose=0), regressor.predict(X), rtol=1e-5
    )
    assert regressor.score(X, VALUES[:, 0], verbose=0) == pytest.approx(regressor.score(X, VALUES[:, 0]))


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_other_arguments_of_a_prediction_are_refused_by_name(method: str) -> None:
    fitted = KerasClassifier().fit(X, THREE)
    with pytest.raises(
        TypeError, match=rf"KerasClassifier.{method} got an unexpected argument 'batchsize'.*steps"
    ):
        getattr(fitted, method)(X, batchsize=3)


def test_partial_fit_takes_the_arguments_of_one_epoch() -> None:
    fitted = KerasRegressor(linear, loss="mse", optimizer="sgd").partial_fit(X, VALUES[:, 0], batch_size=48)
    assert int(fitted.model_.optimizer.iterations.numpy()) == 2
    with pytest.raises(
        TypeError, match=r"Invalid argument `epochs` to KerasRegressor.partial_fit.*one more epoch"
    ):
        fitted.partial_fit(X, VALUES[:, 0], epochs=3)


class Absolute(KerasRegressor):
    @staticmethod
    def scorer(y_true: np.ndarray, y_pred: np.ndarray, **options: Any) -> float:
        return -mean_absolute_error(y_true, y_pred, **options)


def test_a_subclass_says_how_it_is_scored() -> None:
    fitted = Absolute(linear, loss="mse", random_state=0).fit(X, VALUES[:, 0])
    weight = np.arange(len(X), dtype=float)
    expected = -mean_absolute_error(VALUES[:, 0], fitted.predict(X), sample_weight=weight)
    assert fitted.score(X, VALUES[:, 0], weight) == pytest.approx(expected)
    classifier = KerasClassifier(random_state=0).fit(X, THREE)
    assert classifier.score(X, THREE) == accuracy_score(THREE, classifier.predict(X))


def test_r_squared_is_a_metric_of_whole_epochs() -> None:
    y = VALUES[:, 0]
    fitted = KerasRegressor(linear, loss="mse", metrics=[KerasRegressor.r_squared], epochs=2, random_state=0)
    fitted.fit(X, y, validation_data=(X, y))
    assert fitted.history_["val_r2_score"][-1] == pytest.approx(fitted.score(X, y), abs=1e-4)


# Callbacks.


class Collector(keras.callbacks.Callback):
    def __init__(self, label: str = "none"):
        super().__init__()
        self.label = label
        self.losses: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.losses.append(logs["loss"])


@pytest.mark.parametrize(
    "params",
    [
        {"callbacks": [Collector("x")]},
        {"callbacks": Collector("x")},
        {"callbacks": [Collector], "callbacks__0__label": "x"},
        {"callbacks": {"one": Collector}, "callbacks__one__label": "x"},
        {"fit__callbacks": Collector, "fit__callbacks__label": "x"},
    ],
)
def test_callbacks_that_ran_are_kept_with_what_they_collected(params: dict[str, Any]) -> None:
    fitted = KerasRegressor(linear, loss="mse", epochs=3, **params).fit(X, VALUES[:, 0])
    (ran,) = fitted.callbacks_
    assert (ran.label, ran.losses) == ("x", fitted.history_["loss"])
    assert ran.model is fitted.model_
    assert not hasattr(pickle.loads(pickle.dumps(fitted)), "callbacks_")


def test_callbacks_of_a_call_are_kept_too_and_the_users_own_stay_as_they_were() -> None:
    own, of_call = Collector("own"), Collector("call")
    fitted = KerasMLPRegressor(epochs=2, callbacks=[own], early_stopping=True).fit(
        X, VALUES[:, 0], callbacks=[of_call]
    )
    assert [getattr(ran, "label", type(ran).__name__) for ran in fitted.callbacks_] == [
        "own",
        "call",
        "EarlyStopping",
    ]
    assert own.losses == of_call.losses == []
    assert fitted.callbacks_[0].losses == fitted.history_["loss"]


# Inputs.


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            {"a": X, "b": X},
            r"X is a dict of 2 arrays, of shapes \(96, 4\), \(96, 4\); an estimator takes one array",
        ),
        (
            [X[:, :1], X[:, 1:]],
            r"X is a list of 2 arrays, of shapes \(96, 1\), \(96, 3\).*hstack.*feature_encoder",
        ),
        ((X, X), r"X is a tuple of 2 arrays.*kerashp\.fit, which takes several inputs"),
        ([X[:, 0], X[:, 1]], r"X is a list of 2 arrays, of shapes \(96,\), \(96,\)"),
    ],
)
@pytest.mark.parametrize("estimator", [KerasRegressor(linear, loss="mse"), KerasMLPRegressor(epochs=1)])
def test_several_arrays_are_refused_by_name(estimator: Any, rows: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        estimator.fit(rows, VALUES[:, 0])


def test_several_arrays_are_refused_in_a_prediction() -> None:
    fitted = KerasRegressor(linear, loss="mse").fit(X, VALUES[:, 0])
    with pytest.raises(TypeError, match="X is a dict of 1 arrays"):
        fitted.predict({"a": X})


def test_a_list_of_rows_is_one_array() -> None:
    assert KerasRegressor(linear, loss="mse").fit(list(X), VALUES[:, 0]).predict(list(X[:3])).shape == (3,)
    images = list(X.reshape(96, 2, 2))
    build = keras.Sequential([keras.Input((2, 2)), keras.layers.Flatten(), keras.layers.Dense(1)])
    assert KerasRegressor(build, loss="mse").fit(images, VALUES[:, 0]).predict(images).shape == (96,)


def test_a_fixed_batch_size_is_named() -> None:
    def stateful() -> keras.Model:
        inputs = keras.Input(batch_shape=(4, 4, 1))
        return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.LSTM(2, stateful=True)(inputs)))

    with pytest.raises(
        ValueError, match=r"fixes the batch size at 4 \(batch_shape=\(4, 4, 1\)\).*shape=\(4, 1\)"
    ):
        KerasRegressor(stateful, loss="mse").fit(X[..., None], VALUES[:, 0])


# Targets and predictions.


@pytest.mark.parametrize(
    ("of_X", "of_y", "expected"),
    [
        ("float32", "float64", "float32"),
        ("float64", "float32", "float32"),
        ("float64", "float64", "float64"),
        ("float32", "int64", "float32"),
        ("float64", "int64", "float64"),
        ("int64", "float64", "float32"),
        ("int64", "int32", "float32"),
    ],
)
def test_predictions_have_the_narrower_floating_type(of_X: str, of_y: str, expected: str) -> None:
    rows, y = (10 * X).astype(of_X), (10 * VALUES[:, 0]).astype(of_y)
    fitted = KerasRegressor(linear, loss="mse").fit(rows, y)
    assert fitted.predict(rows).dtype == pickle.loads(pickle.dumps(fitted)).predict(rows).dtype == expected


def test_a_double_network_keeps_double_predictions() -> None:
    y = VALUES[:, 0].astype("float64")
    assert KerasMLPRegressor(epochs=1, dtype="float64").fit(X, y).predict(X).dtype == "float64"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            lambda rows, y: (rows + 0.5, y),
            r"Got X with dtype float64, but this KerasClassifier was fitted with int64",
        ),
        (
            lambda rows, y: (rows, y + 0.0),
            r"Got y with dtype float64, but this KerasClassifier .*astype\('int64'\)",
        ),
        (
            lambda rows, y: (rows, y[:, None]),
            r"y has 2 dimensions, but this KerasClassifier was fitted with 1",
        ),
    ],
)
def test_later_calls_of_partial_fit_go_on_with_rows_of_one_kind(changed: Any, words: str) -> None:
    rows = (10 * X).astype("int64")
    fitted = KerasClassifier(random_state=0).partial_fit(rows, THREE)
    with pytest.raises(ValueError, match=words):
        fitted.partial_fit(*changed(rows, THREE))
    assert len(fitted.partial_fit(rows.astype("int32"), THREE).history_["loss"]) == 2


def test_curves_have_the_whole_names_of_metrics() -> None:
    def compiled() -> keras.Model:
        model = linear()
        model.compile(loss="mse", metrics=["mae", keras.metrics.MeanSquaredError(name="mse")])
        return model

    stopping = keras.callbacks.EarlyStopping("val_mae", patience=1, mode="max")
    fitted = KerasRegressor(compiled, validation_split=0.25, epochs=4, callbacks=[stopping], random_state=0)
    fitted.fit(X, VALUES[:, 0])
    assert set(fitted.history_) == {
        "loss",
        "mean_absolute_error",
        "mse",  # a name of the user's own
        "val_loss",
        "val_mean_absolute_error",
        "val_mse",
    }
    curve = fitted.history_["val_mean_absolute_error"]
    assert fitted.best_epoch_ == int(np.argmax(curve))
    fitted.set_params(callbacks=None).partial_fit(X, VALUES[:, 0])
    assert len(fitted.history_["mean_absolute_error"]) == len(fitted.history_["loss"])


# Models that come built, and pickles.


def test_initialize_takes_a_built_model_itself_and_training_takes_a_copy() -> None:
    model = linear()
    model.compile(loss="mse", optimizer="sgd")
    before = model.get_weights()
    estimator = KerasRegressor(model).initialize(X, VALUES[:, 0])
    assert estimator.model_ is model
    np.testing.assert_allclose(estimator.predict(X), model.predict(X, verbose=0).ravel(), rtol=1e-5)
    estimator.partial_fit(X, VALUES[:, 0])
    assert estimator.model_ is not model
    for own, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(own, kept)


class OwnLoss(keras.losses.Loss):
    """Not registered with Keras."""

    def __init__(self, scale: float = 2.0, name: str = "own_loss"):
        super().__init__(name=name)
        self.scale = scale

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.scale * keras.ops.mean(keras.ops.square(y_true - y_pred), -1)

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale, "name": self.name}


class OwnMetric(keras.metrics.MeanAbsoluteError):
    """Not registered with Keras."""


@pytest.mark.parametrize("copied", [lambda own: pickle.loads(pickle.dumps(own)), copy.deepcopy, clone])
def test_objects_of_the_users_own_classes_are_copied_with_the_parameters(copied: Any) -> None:
    estimator = KerasRegressor(linear, loss=OwnLoss(3.0), metrics={"a": OwnMetric(name="own")}, epochs=2)
    again = copied(estimator)
    assert (type(again.loss), again.loss.scale) == (OwnLoss, 3.0)
    assert (type(again.metrics["a"]), again.metrics["a"].name) == (OwnMetric, "own")
    fitted = copied(KerasRegressor(linear, loss=OwnLoss(3.0), metrics=[OwnMetric(name="own")])).fit(
        X, VALUES[:, 0]
    )
    assert "own" in fitted.history_
    if copied is not clone:
        np.testing.assert_array_equal(copied(fitted).predict(X), fitted.predict(X))


def test_classes_made_inside_a_function_are_pickled_with_the_model() -> None:
    def build() -> keras.Model:
        class Local(keras.layers.Layer):
            def call(self, inputs: Any) -> Any:
                return 2 * inputs

        return keras.Sequential([keras.Input((4,)), Local(), keras.layers.Dense(1)])

    fitted = KerasRegressor(build(), loss="mse", random_state=0).fit(X, VALUES[:, 0])
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
