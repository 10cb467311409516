"""Several networks in one: layers and losses against their formulas, training, searches and files."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import sklearn.model_selection
from keras import ops

from kerashp import KerasMLPClassifier, KerasMLPRegressor, build_model, fit
from kerashp._memory import Footprint
from kerashp.diagnostics import check_initialization
from kerashp.estimators._data.losses import loss_of
from kerashp.layers import (
    HeadAffine,
    HeadBinaryCrossentropy,
    HeadCategoricalCrossentropy,
    HeadMeanSquaredError,
    HeadOutputs,
    HeadScale,
    HeadSparseCategoricalCrossentropy,
    RandomSigns,
)
from kerashp.model_selection import GridSearchCV
from kerashp.training import graph_shape, isolated

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5)).astype("float32")
Y = X[:, 0] - X[:, 1] ** 2
HEADS = 3
OPTIONS: dict[str, Any] = {"heads": HEADS, "n_neurons": 4, "epochs": 2, "tol": None, "random_state": 0}


def built(**options: Any) -> Any:
    with isolated(seed=3):
        return build_model(**{"n_hidden": 2, "n_neurons": 8, "input_shape": 5, "heads": HEADS, **options})


def outputs_of_heads(model: Any, x: np.ndarray) -> np.ndarray:
    """What each head of a network of two hidden layers predicts, by NumPy: (n_rows, n_heads, n_outputs)."""
    values = [ops.convert_to_numpy(weight) for weight in model.weights]
    r1, kernel_1, s1, b1, r2, kernel_2, s2, b2, kernels, biases = values
    heads = []
    for head in range(len(r1)):
        hidden = np.maximum((x * r1[head]) @ kernel_1 * s1[head] + b1[head], 0)
        hidden = np.maximum((hidden * r2[head]) @ kernel_2 * s2[head] + b2[head], 0)
        heads.append(hidden @ kernels[head] + biases[head])
    return np.stack(heads, axis=1)


def trained(**options: Any) -> Any:
    """A network whose scales and biases are no longer what they were."""
    model = built(learning_rate=0.05, optimizer="adam", **options)
    fit(model, X, Y, epochs=3, verbose=0)
    return model


def test_predictions_are_the_mean_of_the_heads() -> None:
    model = trained()
    heads = outputs_of_heads(model, X)
    assert np.ptp(heads, axis=1).max() > 0.1
    np.testing.assert_allclose(model.predict(X, verbose=0), heads.mean(axis=1), rtol=1e-4, atol=1e-5)


def test_probabilities_are_the_mean_of_the_heads() -> None:
    model = built(task="multiclass", n_outputs=3)
    logits = outputs_of_heads(model, X)
    exponentials = np.exp(logits)
    expected = (exponentials / exponentials.sum(axis=-1, keepdims=True)).mean(axis=1)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("train", ["fit", "Model.fit"])
def test_the_training_loss_is_the_mean_of_the_losses_of_heads(train: str) -> None:
    """That of validation is the loss of the mean; penalties are those of one head."""
    model = trained(l2=0.01, dropout=0.0)
    model.optimizer.learning_rate = 0.0
    heads, target = outputs_of_heads(model, X), Y[:, None, None]
    kernels = [ops.convert_to_numpy(model.get_layer(f"hidden_{i}").kernel) for i in (1, 2)]
    output_kernels = ops.convert_to_numpy(model.get_layer("output").kernel)
    penalty = 0.01 * (sum((kernel**2).sum() for kernel in kernels) + (output_kernels**2).sum() / HEADS)
    options: dict[str, Any] = {"epochs": 1, "batch_size": 60, "verbose": 0, "validation_data": (X, Y)}
    history = (fit(model, X, Y, **options) if train == "fit" else model.fit(X, Y, **options)).history
    np.testing.assert_allclose(history["loss"], np.mean((heads - target) ** 2) + penalty, rtol=1e-5)
    of_mean = np.mean((heads.mean(axis=1) - target[:, 0]) ** 2)
    np.testing.assert_allclose(history["val_loss"], of_mean + penalty, rtol=1e-5)
    assert of_mean < 0.99 * np.mean((heads - target) ** 2)
    np.testing.assert_allclose(model.evaluate(X, Y, verbose=0), of_mean + penalty, rtol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("loss", "keras_loss", "target", "width"),
    [
        (HeadMeanSquaredError, keras.losses.MeanSquaredError, RNG.normal(size=(6, 2)), 2),
        (HeadBinaryCrossentropy, keras.losses.BinaryCrossentropy, np.eye(2)[[0, 1, 1, 0, 1, 0]], 2),
        (HeadCategoricalCrossentropy, keras.losses.CategoricalCrossentropy, np.eye(3)[[0, 1, 2] * 2], 3),
        (HeadSparseCategoricalCrossentropy, keras.losses.SparseCategoricalCrossentropy, np.arange(6) % 3, 3),
    ],
)
def test_losses_are_means_of_those_of_keras(
    loss: Any, keras_loss: Any, target: np.ndarray, width: int, weighted: bool
) -> None:
    predictions = np.random.default_rng(0).uniform(0.1, 0.9, (6, HEADS, width))
    predictions /= predictions.sum(axis=-1, keepdims=True)
    weight = np.arange(6.0) if weighted else None
    ours, theirs = (one(reduction="mean_with_sample_weight") for one in (loss, keras_loss))
    each = [float(theirs(target, predictions[:, head], weight)) for head in range(HEADS)]
    np.testing.assert_allclose(float(ours(target, predictions, weight)), np.mean(each), rtol=1e-5)
    mean = predictions.mean(axis=1)
    np.testing.assert_allclose(float(ours(target, mean, weight)), float(theirs(target, mean, weight)))


def test_layers_compute_their_formulas() -> None:
    scale, affine = HeadScale(2, RandomSigns(seed=1)), HeadAffine(2)
    rows = scale(X)
    signs = ops.convert_to_numpy(scale.scale)
    assert signs.shape == (2, 5)
    assert set(signs.ravel()) == {-1, 1}
    np.testing.assert_array_equal(ops.convert_to_numpy(rows), X[:, None] * signs)
    affine.build(rows.shape)
    weights = RNG.normal(size=(2, 2, 5)).astype("float32")
    affine.set_weights(list(weights))
    expected = X[:, None] * signs * weights[0] + weights[1]
    np.testing.assert_allclose(ops.convert_to_numpy(affine(rows)), expected, rtol=1e-5)


def test_the_first_scales_are_random_and_all_others_ones() -> None:
    layers = {layer.name: layer for layer in built().layers}
    assert np.ptp(ops.convert_to_numpy(layers["head_scale_1"].scale)) == 2
    for name in ("head_scale_2", "head_affine_1", "head_affine_2"):
        assert (ops.convert_to_numpy(layers[name].scale) == 1).all()
    embedded = built(numeric_embedding="periodic", n_neurons=50).get_layer("head_scale_1").scale
    assert len(np.unique(ops.convert_to_numpy(embedded))) == HEADS * 20  # of a normal distribution


def test_each_head_has_another_output_kernel() -> None:
    with isolated(seed=0):
        layer = HeadOutputs(40, 2, kernel_initializer="he_normal")
        layer.build((None, 2, 200))
    one, other = ops.convert_to_numpy(layer.kernel)
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.05
    np.testing.assert_allclose([one.var(), other.var()], 2 / 200, rtol=0.1)


def test_metrics_are_of_the_mean() -> None:
    model = built(metrics=["mae"])
    model.optimizer.learning_rate = 0.0
    expected = np.abs(outputs_of_heads(model, X).mean(axis=1) - Y[:, None]).mean()
    for history in (
        fit(model, X, Y, batch_size=60, epochs=1, verbose=0),
        model.fit(X, Y, 60, 1, verbose=0),
    ):
        np.testing.assert_allclose(history.history["mae"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"task": "binary", "label_smoothing": 0.1, "dropout": 0.0},
        {"task": "multiclass", "n_outputs": 3, "l1": 1e-3},
        {"task": "multiclass", "n_outputs": 3, "label_smoothing": 0.1, "n_hidden": 0},
        {"task": "multilabel", "n_outputs": 2, "activity_l1": 1e-2, "input_scale_rate": 3.0},
        {"n_outputs": 2, "numeric_embedding": "periodic"},
        {"normalize": X, "numeric_embedding": "piecewise", "embedding_bins": 4, "weight_decay": 0.01},
    ],
    ids=str,
)
def test_fit_agrees_with_keras(options: dict[str, Any]) -> None:
    """With sample weights and a short last batch."""
    task, width = options.get("task", "regression"), options.get("n_outputs", 1)
    targets = {
        "regression": np.stack([Y, Y**2], axis=1)[:, :width],
        "binary": (Y > 0).astype("float32"),
        "multiclass": np.digitize(Y, [-1, 0]),
        "multilabel": np.stack([Y > 0, Y > -1], axis=1).astype("float32"),
    }
    y = np.eye(3)[targets[task]] if task == "multiclass" and "label_smoothing" in options else targets[task]
    weight = np.arange(60) % 3 + 0.5
    histories = [
        train(
            built(learning_rate=0.01, optimizer="adam", **options),
            x=X,
            y=y,
            batch_size=16,
            epochs=2,
            verbose=0,
            shuffle=False,
            sample_weight=weight,
            validation_data=(X, y),
        ).history
        for train in (fit, keras.Model.fit)
    ]
    for name, values in histories[1].items():
        np.testing.assert_allclose(histories[0][name], values, rtol=1e-4)


@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (KerasMLPClassifier(), np.digitize(Y, [-1, 0])),
        (KerasMLPClassifier(class_weight="balanced"), np.where(Y > 0, "a", "b")),
        (KerasMLPClassifier(), np.stack([Y > 0, Y > -1], axis=1).astype(int)),
        (KerasMLPRegressor(clip_predictions=True), Y),
        (KerasMLPRegressor(), np.stack([Y, Y**2], axis=1)),
    ],
    ids=str,
)
def test_estimators_of_every_task_are_saved(estimator: Any, y: np.ndarray, tmp_path: Path) -> None:
    estimator.set_params(**OPTIONS, early_stopping=True).fit(X, y, sample_weight=np.arange(60) % 3)
    assert np.isfinite(estimator.history_["val_loss"]).all()
    estimator.save(tmp_path / "fitted")
    loaded = type(estimator).load(tmp_path / "fitted")
    np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))
    estimator.model_.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(X, verbose=0), estimator.model_.predict(X, verbose=0))


def test_a_search_over_widths_depths_and_numbers_is_one_group() -> None:
    grid = [
        {"n_neurons": [3], "n_hidden": [1], "dropout": [0.2]},
        {"n_neurons": [6], "n_hidden": [3], "learning_rate": [0.02]},
    ]
    options: dict[str, Any] = {"cv": 2, "scoring": "neg_log_loss", "refit": False, "error_score": "raise"}
    estimator = KerasMLPClassifier(**OPTIONS)
    together = GridSearchCV(estimator, grid, **options).fit(X, Y > 0)
    assert [len(group.fits) for group in together.plan_.groups] == [4]
    apart = sklearn.model_selection.GridSearchCV(estimator, grid, **options).fit(X, Y > 0)
    scores = [search.cv_results_["mean_test_score"] for search in (together, apart)]
    np.testing.assert_allclose(*scores, rtol=1e-5)


def test_a_search_over_heads() -> None:
    estimator = KerasMLPRegressor(**OPTIONS)
    search = GridSearchCV(estimator, {"heads": [1, 2, 3]}, cv=2, error_score="raise").fit(X, Y)
    assert len(search.plan_.groups) == 3
    alone = KerasMLPRegressor(**{**OPTIONS, **search.best_params_}).fit(X, Y)
    np.testing.assert_allclose(search.predict(X), alone.predict(X), rtol=1e-4, atol=1e-5)


def test_the_check_of_initial_weights_knows_them() -> None:
    layers = check_initialization(built(n_neurons=40), X, Y).layers
    variances = {layer.name: layer.suited_variance for layer in layers if layer.kernel_variance is not None}
    expected = {"hidden_1": 2 / 5, "hidden_2": 2 / 40, "output": 2 / 41}
    assert variances == pytest.approx(expected)


def test_the_plan_of_a_search_counts_the_rows_of_all_heads() -> None:
    """In time and memory."""
    groups = []
    for heads in (2, 8):
        estimator = KerasMLPRegressor(**{**OPTIONS, "heads": heads, "epochs": 1})
        grid = [{"n_neurons": [60], "n_hidden": [3]}, {"n_neurons": [40], "n_hidden": [1]}]
        search = GridSearchCV(estimator, grid, cv=2, refit=False, error_score="raise").fit(X, Y)
        groups.append(search.plan_.groups[0])
        assert groups[-1].n_weights == build_model(3, 60, input_shape=5, heads=heads).count_params()
    few, many = groups
    assert len(few.fits) == 4
    assert many.seconds - many.compile_seconds > few.seconds - few.compile_seconds
    assert many.n_bytes > few.n_bytes + 4 * 6 * 30 * 3 * 60 * 4  # of outputs for the rows of six more heads


def test_folds_of_other_categories_train_together() -> None:
    """The first scales are padded as the one-hot columns and embeddings before them are."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"n": X[:, 0], "few": rng.choice(["a", "b", "c"], 60)})
    frame["many"] = rng.choice([f"city {index}" for index in range(20)], 60)
    frame.loc[:3, "few"] = "d"
    grid = {"n_neurons": [3, 5]}
    options: dict[str, Any] = {"cv": [(np.arange(30, 60), np.arange(30)), (np.arange(30), np.arange(30, 60))]}
    estimator = KerasMLPRegressor(**OPTIONS, embedding_dim=2)
    together = GridSearchCV(estimator, grid, **options, refit=False, error_score="raise").fit(frame, Y)
    assert [len(group.fits) for group in together.plan_.groups] == [4]
    apart = sklearn.model_selection.GridSearchCV(estimator, grid, **options, refit=False).fit(frame, Y)
    scores = [search.cv_results_["mean_test_score"] for search in (together, apart)]
    np.testing.assert_allclose(*scores, rtol=1e-4)


def test_a_warm_start_copies_its_weights() -> None:
    source = KerasMLPRegressor(**OPTIONS).fit(X, Y)
    for normalize_target in (True, False):
        still = KerasMLPRegressor(**OPTIONS, warm_start_from=source, normalize_target=normalize_target)
        still.set_params(learning_rate=1e-30, epochs=1)
        np.testing.assert_allclose(still.fit(X, Y).predict(X), source.predict(X), rtol=1e-4, atol=1e-5)


def test_the_model_of_a_regressor_trains_its_heads() -> None:
    """In the units of the target; the loss of the mean is less than that of the heads."""
    model = KerasMLPRegressor(**OPTIONS, learning_rate=0.05).fit(X, Y).model_
    model.optimizer.learning_rate = 0.0
    of_mean = model.evaluate(X, Y, verbose=0)
    losses = [
        train(model, x=X, y=Y, epochs=1, verbose=0).history["loss"][0] for train in (fit, keras.Model.fit)
    ]
    assert min(losses) > 1.001 * of_mean
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_one_head_is_the_usual_network() -> None:
    with isolated(seed=3):
        usual = build_model(2, 8, input_shape=5)
    one = built(heads=1)
    assert graph_shape(one) == graph_shape(usual)
    assert type(one.loss) is keras.losses.MeanSquaredError
    np.testing.assert_array_equal(one.predict(X, verbose=0), usual.predict(X, verbose=0))


def test_the_memory_that_is_needed_is_known() -> None:
    footprint = Footprint(5, 2, itemsize=4, copies=lambda: 1, n_heads=HEADS)
    assert footprint.n_weights([8, 8]) == built(n_outputs=2).count_params()
    assert footprint.n_weights([]) == built(n_outputs=2, n_hidden=0).count_params() - HEADS * 5


def test_losses_have_the_names_of_those_of_keras() -> None:
    assert loss_of(built()).name == "mean_squared_error"
    loss = loss_of(built(task="multiclass", n_outputs=3, label_smoothing=0.1))
    assert (loss.name, loss.categorical, loss.label_smoothing) == ("categorical_crossentropy", True, 0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 0}, "heads must be an integer >= 1; got 0"),
        ({"batch_normalization": True}, "batch_normalization must be False with heads > 1.*; got True"),
        ({"parametrization": "ntk"}, "parametrization must be 'standard' with heads > 1.*; got 'ntk'"),
    ],
)
def test_other_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"build_model: {message}"):
        built(**options)


@pytest.mark.parametrize("layer", [HeadScale, HeadAffine, lambda n_heads: HeadOutputs(1, n_heads)])
def test_layers_need_a_head(layer: Any) -> None:
    with pytest.raises(ValueError, match="Head[A-Z][a-z]+: n_heads must be an integer >= 1; got 0"):
        layer(0)
