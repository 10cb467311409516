"""Keras callbacks of TensorBoard, MLflow and W&B under `kerashp.fit` and in estimators."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import mlflow
import numpy as np
import pytest
import tensorflow as tf
import wandb
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb.integration.keras import WandbMetricsLogger, WandbModelCheckpoint

from kerashp import KerasClassifier, KerasMLPClassifier, build_model, fit

X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
Y = (X[:, 0] > 0).astype(int)
Numbers = dict[str, list[float]]


def model_of(learning_rate: Any = 0.1) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = build_model(1, 4, task="binary", input_shape=3, metrics=["accuracy"])
    model.compile(keras.optimizers.SGD(learning_rate), "binary_crossentropy", metrics=["accuracy"])
    return model


def trained(*callbacks: Any, keras_fit: bool = False, learning_rate: Any = 0.1) -> Any:
    """The history of a training by `Model.fit`, or by compiled epochs, which may not fall back."""
    call = {"epochs": 2, "validation_split": 0.2, "shuffle": False, "verbose": 0, "callbacks": [*callbacks]}
    model = model_of(learning_rate)
    return model.fit(X, Y, **call) if keras_fit else fit(model, X, Y, fallback="error", **call)


def assert_same_numbers(actual: Numbers, expected: Numbers) -> None:
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(actual[name], values, rtol=1e-4, err_msg=name)


def decayed() -> Any:
    return keras.optimizers.schedules.ExponentialDecay(0.1, 4, 0.5)


# TensorBoard.


def numbers_on_board(folder: Path) -> tuple[Any, Numbers]:
    """All tags, and the scalars by folder and tag."""
    tags, found = [], {}
    for part in ("train", "validation"):
        events = EventAccumulator(str(folder / part)).Reload()
        tags.append(events.Tags())
        for tag in events.Tags()["tensors"]:
            if tag.startswith(("epoch_", "evaluation_")):
                points = events.Tensors(tag)
                found[f"{part}/{tag}"] = [float(tf.make_ndarray(point.tensor_proto)) for point in points]
    return tags, found


@pytest.mark.parametrize("options", [{}, {"histogram_freq": 1, "write_images": True, "write_graph": False}])
def test_tensorboard_by_epochs_stays_compiled(options: dict[str, Any], tmp_path: Path) -> None:
    for name in ("ours", "keras"):
        trained(keras.callbacks.TensorBoard(tmp_path / name, **options), keras_fit=name == "keras")
    expected_tags, expected = numbers_on_board(tmp_path / "keras")
    assert {"train/epoch_learning_rate", "validation/evaluation_loss_vs_iterations"} <= expected.keys()
    tags, actual = numbers_on_board(tmp_path / "ours")
    assert tags == expected_tags
    assert_same_numbers(actual, expected)


def test_tensorboard_in_an_estimator(tmp_path: Path) -> None:
    classifier = KerasClassifier(
        build_model, n_hidden=0, epochs=2, verbose=0, callbacks=[keras.callbacks.TensorBoard(tmp_path)]
    )
    classifier.fit(X, Y, validation_data=(X, Y))
    _, numbers = numbers_on_board(tmp_path)
    actual = {"loss": numbers["train/epoch_loss"], "val_loss": numbers["validation/epoch_loss"]}
    assert_same_numbers(actual, {name: classifier.history_[name] for name in actual})


@pytest.mark.parametrize("options", [{"update_freq": "batch"}, {"write_steps_per_second": True}])
def test_tensorboard_by_batches_falls_back(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="TensorBoard.on_train_batch_begin is called at every batch"):
        trained(keras.callbacks.TensorBoard(tmp_path, **options))


def test_a_profile_of_batches_falls_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.callbacks.TensorBoard, "_start_profiler", lambda *_, **__: None)
    with pytest.raises(RuntimeError, match="TensorBoard.on_train_batch_begin is called at every batch"):
        trained(keras.callbacks.TensorBoard(tmp_path, profile_batch=2))


# MLflow.


@pytest.fixture
def run_in_mlflow(mlflow_experiment: str) -> Any:
    """Train inside a run of MLflow; the numbers of the run."""
    mlflow.set_experiment(mlflow_experiment)

    def run(train: Callable[[], Any]) -> Numbers:
        with mlflow.start_run() as active:
            train()
            mlflow.flush_async_logging()
        client = mlflow.MlflowClient()
        names = client.get_run(active.info.run_id).data.metrics
        assert "model_summary.txt" in [one.path for one in client.list_artifacts(active.info.run_id)]
        return {
            name: [point.value for point in client.get_metric_history(active.info.run_id, name)]
            for name in names
        }

    return run


def test_mlflow_by_epochs_stays_compiled(run_in_mlflow: Any) -> None:
    expected = run_in_mlflow(lambda: trained(mlflow.keras.MlflowCallback(), keras_fit=True))
    assert {"loss", "val_accuracy", "validation_loss"} <= expected.keys()
    actual = run_in_mlflow(lambda: trained(mlflow.keras.MlflowCallback()))
    assert_same_numbers(actual, expected)


def test_mlflow_by_batches_falls_back() -> None:
    callback = mlflow.keras.MlflowCallback(log_every_epoch=False, log_every_n_steps=2)
    with pytest.raises(RuntimeError, match="MlflowCallback.on_batch_end is called at every batch"):
        trained(callback)


def test_mlflow_in_an_estimator(run_in_mlflow: Any) -> None:
    classifier = KerasClassifier(
        build_model, n_hidden=1, n_neurons=4, epochs=2, verbose=0, callbacks=[mlflow.keras.MlflowCallback()]
    )
    numbers = run_in_mlflow(lambda: classifier.fit(X, Y))
    assert_same_numbers({"loss": numbers["loss"]}, {"loss": classifier.history_["loss"]})


# Weights & Biases.


@pytest.fixture
def run_in_wandb(wandb_runs: Any, wandb_folder: Path) -> Any:
    """Train inside a run of W&B; the run."""

    def run(name: str, train: Callable[[], Any]) -> Any:
        settings = wandb.Settings(silent=True, disable_git=True, x_disable_machine_info=True)
        with wandb.init(id=name, name=name, mode="offline", dir=wandb_folder, settings=settings):
            train()
        return next(one for one in wandb_runs() if one.id == name)

    return run


@pytest.mark.parametrize("rate", [lambda: 0.1, decayed])
def test_wandb_by_epochs_stays_compiled(rate: Callable[[], Any], run_in_wandb: Any) -> None:
    def train(keras_fit: bool) -> None:
        trained(WandbMetricsLogger(), keras_fit=keras_fit, learning_rate=rate())

    expected, actual = (
        {name: [point[name] for point in run.history] for name in run.history[0] if name.startswith("epoch/")}
        for run in (run_in_wandb("keras", lambda: train(True)), run_in_wandb("ours", lambda: train(False)))
    )
    assert {"epoch/val_loss", "epoch/learning_rate", "epoch/epoch"} <= expected.keys()
    assert_same_numbers(actual, expected)


@pytest.mark.parametrize("log_freq", ["batch", 2])
def test_wandb_by_batches_falls_back(log_freq: Any, run_in_wandb: Any) -> None:
    def train() -> None:
        with pytest.raises(RuntimeError, match="WandbMetricsLogger.on_batch_end is called at every batch"):
            trained(WandbMetricsLogger(log_freq))

    run_in_wandb("batches", train)


def test_checkpoints_in_wandb_stay_compiled(run_in_wandb: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "{epoch}.keras")
    run = run_in_wandb("saved", lambda: trained(WandbModelCheckpoint(path)))
    assert [artifact.name for artifact in run.artifacts] == ["run_saved_model"] * 2

    def train() -> None:
        with pytest.raises(RuntimeError, match="WandbModelCheckpoint.on_train_batch_end is called"):
            trained(WandbModelCheckpoint(path, save_freq=2))

    run_in_wandb("batches", train)


def test_wandb_in_an_estimator(run_in_wandb: Any) -> None:
    classifier = KerasMLPClassifier(4, epochs=2, normalize=False)

    def train() -> None:
        classifier.set_params(callbacks=[WandbMetricsLogger()]).fit(X, Y)

    run = run_in_wandb("estimator", train)
    actual = {"loss": [point["epoch/loss"] for point in run.history]}
    assert_same_numbers(actual, {"loss": classifier.history_["loss"]})
