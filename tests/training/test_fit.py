"""`kerashp.fit` in use: callbacks, going on from where it ended, what it hands to Keras."""

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy.stats import loguniform
from sklearn.model_selection import RandomizedSearchCV

from kerashp import KerasMLPRegressor, build_model, fit
from kerashp.training import FallbackWarning, clear_cache
from kerashp.training._keras import obstacles
from kerashp.training._runtime import backend, memory_maps

N_ROWS = 90


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(N_ROWS, 8)).astype("float32")
    return X, np.tanh(X[:, :1] * 2) + 0.1 * rng.normal(size=(N_ROWS, 1)).astype("float32")


def model_of(seed: int = 0, learning_rate: Any = 0.05, **arguments: Any) -> Any:
    keras.utils.set_random_seed(seed)
    return build_model(1, 6, learning_rate, **arguments)


def compiled(model: Any, *data: Any, **arguments: Any) -> Any:
    return fit(model, *data, **{"verbose": 0, "shuffle": False, "fallback": "error", **arguments})


def by_keras(model: Any, *data: Any, **arguments: Any) -> Any:
    return model.fit(*data, **{"verbose": 0, "shuffle": False, **arguments})


def assert_same_weights(one: Any, other: Any, tolerance: float = 1e-5) -> None:
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance, rtol=1e-4)


# Callbacks.


class Recorder(keras.callbacks.Callback):
    """What each hook sees: its name, the logs, the model's first weight and the optimizer's steps."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Any, ...]] = []

    def _note(self, hook: str, logs: Any, number: int = -1) -> None:
        weight = float(np.asarray(self.model.trainable_variables[0])[0, 0])
        self.seen.append((hook, number, sorted(logs or {}), weight, int(self.model.optimizer.iterations)))

    def on_train_begin(self, logs: Any = None) -> None:
        self._note("train_begin", logs)

    def on_train_end(self, logs: Any = None) -> None:
        self._note("train_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._note("epoch_begin", logs, epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._note("epoch_end", logs, epoch)

    def on_test_begin(self, logs: Any = None) -> None:
        self._note("test_begin", logs)

    def on_test_end(self, logs: Any = None) -> None:
        self._note("test_end", logs)


def test_every_hook_sees_what_it_sees_under_keras(data) -> None:
    seen = []
    for fitter in (compiled, by_keras):
        recorder = Recorder()
        fitter(model_of(), *data, epochs=3, validation_split=0.2, callbacks=[recorder])
        seen.append(recorder.seen)
    assert [entry[:3] + entry[4:] for entry in seen[0]] == [entry[:3] + entry[4:] for entry in seen[1]]
    np.testing.assert_allclose([e[3] for e in seen[0]], [e[3] for e in seen[1]], rtol=1e-4)
    assert len(seen[0]) == 2 + 3 * 4


def _early_stopping() -> Any:
    return keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)


def _plateau() -> Any:
    return keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=1, min_delta=0.05)


def _scheduler() -> Any:
    return keras.callbacks.LearningRateScheduler(lambda _, rate: rate * 0.7)


def _ema() -> Any:
    return keras.callbacks.SwapEMAWeights()


def _stopper() -> Any:
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 2

    return Stop()


def _halver() -> Any:
    class Halve(keras.callbacks.Callback):
        """Changes the weights themselves."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.model.set_weights([weight * 0.5 for weight in self.model.get_weights()])

    return Halve()


@pytest.mark.parametrize("callback", [_early_stopping, _plateau, _scheduler, _ema, _stopper, _halver])
def test_callbacks_act_as_under_keras(callback: Callable[..., Any], data) -> None:
    results = []
    for fitter in (compiled, by_keras):
        model = model_of(optimizer=keras.optimizers.SGD(0.3, use_ema=callback is _ema, ema_momentum=0.7))
        model.optimizer.learning_rate = 0.3
        history = fitter(model, *data, epochs=12, validation_split=0.3, callbacks=[callback()])
        results.append((model, history))
    (got, history), (expected, reference) = results
    assert history.epoch == reference.epoch
    for name, values in reference.history.items():
        np.testing.assert_allclose(history.history[name], values, rtol=1e-3, atol=1e-5)
    assert_same_weights(got, expected, 1e-4)
    assert float(got.optimizer.learning_rate) == pytest.approx(float(expected.optimizer.learning_rate))


def test_checkpoints_hold_the_weights_of_their_epoch(data, tmp_path: Path) -> None:
    for name, fitter in (("ours", compiled), ("keras", by_keras)):
        path = str(tmp_path / (name + "-{epoch}.weights.h5"))
        fitter(
            model_of(),
            *data,
            epochs=3,
            callbacks=[keras.callbacks.ModelCheckpoint(path, save_weights_only=True)],
        )
    for epoch in (1, 2, 3):
        models = [model_of(), model_of()]
        models[0].load_weights(tmp_path / f"ours-{epoch}.weights.h5")
        models[1].load_weights(tmp_path / f"keras-{epoch}.weights.h5")
        assert_same_weights(*models)


def test_backup_and_restore_goes_on_where_it_was(data, tmp_path: Path) -> None:
    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    def backup() -> Any:
        return keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))

    with pytest.raises(KeyboardInterrupt):
        compiled(model_of(), *data, epochs=5, callbacks=[backup(), Kill()])
    resumed = model_of(seed=1)
    history = compiled(resumed, *data, epochs=5, callbacks=[backup()])
    assert history.epoch == [2, 3, 4]
    undisturbed = model_of()
    compiled(undisturbed, *data, epochs=5)
    assert_same_weights(resumed, undisturbed)


def test_an_interrupted_training_keeps_what_it_reached(data) -> None:
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    model, reference = model_of(), model_of()
    with pytest.raises(KeyboardInterrupt):
        compiled(model, *data, epochs=5, callbacks=[Interrupt()])
    compiled(reference, *data, epochs=2)
    assert_same_weights(model, reference)


def test_logs_are_written_to_files(data, tmp_path: Path) -> None:
    table, board = tmp_path / "log.csv", tmp_path / "board"
    callbacks = [keras.callbacks.CSVLogger(table), keras.callbacks.TensorBoard(str(board))]
    history = compiled(model_of(), *data, epochs=3, validation_split=0.2, callbacks=callbacks)
    rows = np.genfromtxt(table, delimiter=",", names=True)
    np.testing.assert_allclose(rows["val_loss"], history.history["val_loss"], rtol=1e-6)
    assert {path.name for path in board.iterdir()} == {"train", "validation"}


def test_lambda_callbacks_get_the_epochs_logs(data) -> None:
    seen: list[Any] = []
    callback = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append((epoch, logs["loss"]))
    )
    history = compiled(model_of(), *data, epochs=2, callbacks=[callback])
    assert seen == list(enumerate(history.history["loss"]))


def test_terminate_on_nan_looks_after_every_epoch(data, capsys: pytest.CaptureFixture) -> None:
    model = model_of(learning_rate=1e9)
    history = compiled(model, *data, epochs=9, callbacks=[keras.callbacks.TerminateOnNaN()])
    assert len(history.epoch) < 9
    assert "Invalid loss" in capsys.readouterr().out


def test_a_loss_that_is_not_finite_ends_nothing(data) -> None:
    history = compiled(model_of(learning_rate=1e9), *data, epochs=9)
    assert len(history.epoch) == 9
    assert not np.isfinite(history.history["loss"][-1])


@pytest.mark.parametrize("verbose", [1, 2])
def test_progress_is_that_of_keras(verbose: int, data, capsys: pytest.CaptureFixture) -> None:
    compiled(model_of(), *data, epochs=2, validation_split=0.2, verbose=verbose)
    shown = capsys.readouterr().out
    assert "Epoch 1/2" in shown
    assert "Epoch 2/2" in shown
    assert shown.count("val_loss") == 2
    assert "3/3" in shown


def test_a_callback_list_is_taken_as_it_is(data) -> None:
    recorder = Recorder()
    model = model_of()
    compiled(model, *data, callbacks=keras.callbacks.CallbackList([recorder], add_history=True, model=model))
    assert [entry[0] for entry in recorder.seen] == ["train_begin", "epoch_begin", "epoch_end", "train_end"]


# Going on from where it ended.


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_keras_and_we_go_on_from_each_other(optimizer: str, data) -> None:
    one, other = model_of(optimizer=optimizer), model_of(optimizer=optimizer)
    compiled(one, *data, epochs=2)
    by_keras(one, *data, epochs=2)
    compiled(one, *data, epochs=2)
    by_keras(other, *data, epochs=6)
    assert_same_weights(one, other)
    assert int(one.optimizer.iterations) == int(other.optimizer.iterations)


def test_a_trained_model_is_saved_and_evaluated(data, tmp_path: Path) -> None:
    model = model_of(optimizer="adam")
    history = compiled(model, *data, epochs=3, validation_data=data)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.evaluate(*data, verbose=0) == pytest.approx(history.history["val_loss"][-1], rel=1e-5)
    compiled(loaded, *data, epochs=2)
    compiled(model, *data, epochs=2)
    assert_same_weights(loaded, model)


def test_an_unbuilt_model_is_built_as_keras_builds_it(data) -> None:
    models = []
    for fitter in (compiled, by_keras):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([layers.Dense(5, "relu"), layers.Dense(1)])
        model.compile("sgd", "mse", metrics=["mae"])
        fitter(model, *data, epochs=2)
        models.append(model)
    assert_same_weights(*models)


class Sampling(layers.Layer):
    """Adds noise whenever it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, x: Any) -> Any:
        return x + 0.3 * keras.random.normal(keras.ops.shape(x), seed=self.seed_generator)


@pytest.mark.parametrize(
    ("layer", "draws_alike"),  # without XLA, TensorFlow draws the numbers of such layers as under `Model.fit`
    [
        (None, True),
        (lambda: layers.Dropout(0.3), False),
        (lambda: layers.GaussianNoise(0.3), True),
        (Sampling, True),
    ],
)
def test_what_is_random_differs_from_keras_and_follows_the_seed(data, layer: Any, draws_alike: bool) -> None:
    def weights(train: Any, seed: int, shuffle: bool) -> np.ndarray:
        keras.utils.set_random_seed(0)
        inside = [] if layer is None else [layer()]
        model = keras.Sequential([keras.Input((8,)), layers.Dense(6), *inside, layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.05), "mse")
        keras.utils.set_random_seed(seed)
        train(model, *data, epochs=2, shuffle=shuffle)
        return model.get_weights()[0]

    for shuffle in (False, True):
        own, again = (weights(compiled, 1, shuffle) for _ in range(2))
        np.testing.assert_array_equal(own, again)
        from_keras = np.abs(weights(by_keras, 1, shuffle) - own).max()
        if layer is None and not shuffle:
            assert from_keras < 1e-6
        elif keras.backend.backend() == "tensorflow":
            assert (from_keras < 1e-6) == (draws_alike and not shuffle)
        if shuffle:
            assert np.abs(weights(compiled, 2, shuffle) - own).max() > 1e-4


def test_the_same_seed_shuffles_and_drops_alike(data) -> None:
    fits = []
    for seed in (1, 1, 2):
        model = model_of(seed, dropout=0.4)
        model.set_weights(model_of(0, dropout=0.4).get_weights())
        keras.utils.set_random_seed(seed)
        fits.append(compiled(model, *data, shuffle=True, epochs=3).history["loss"])
    assert fits[0] == fits[1]
    assert fits[0] != fits[2]


def test_shuffled_epochs_take_every_row_once(data) -> None:
    X, y = data

    class Sum(keras.metrics.Metric):
        def __init__(self) -> None:
            super().__init__(name="sum")
            self.total = self.add_variable(shape=(), initializer="zeros", name="total")

        def update_state(self, y: Any, predicted: Any, sample_weight: Any = None) -> None:
            self.total.assign_add(ops.sum(y))

        def result(self) -> Any:
            return self.total + 0

    model = build_model(1, 6)
    model.compile("sgd", "mse", metrics=[Sum()])
    history = compiled(model, X, y, shuffle=True, epochs=3)
    np.testing.assert_allclose(history.history["sum"], y.sum(), rtol=1e-4)


# Dropout.


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    class Watch(keras.metrics.Metric):
        """The mean of the outputs, and the share of them that is zero."""

        def __init__(self) -> None:
            super().__init__(name="watch")
            self.sums = self.add_variable(shape=(3,), initializer="zeros", name="sums")

        def update_state(self, y: Any, predicted: Any, sample_weight: Any = None) -> None:
            zero = ops.cast(ops.equal(predicted, 0), "float32")
            parts = [ops.sum(predicted), ops.sum(zero), ops.sum(ops.ones_like(predicted))]
            self.sums.assign_add(ops.stack(parts))

        def result(self) -> Any:
            return {"mean": self.sums[0] / self.sums[2], "zero": self.sums[1] / self.sums[2]}

    ones = np.ones((2000, 8), "float32")
    inputs = layers.Input((8,))
    kernel = keras.initializers.Constant(np.eye(8))
    hidden = layers.Dense(8, kernel_initializer=kernel, trainable=True)(inputs)
    model = keras.Model(inputs, layers.Dropout(0.3)(hidden))
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=[Watch()])
    history = compiled(model, ones, ones, epochs=3).history
    np.testing.assert_allclose(history["zero"], 0.3, atol=0.015)
    np.testing.assert_allclose(history["mean"], 1, atol=0.025)
    assert len(set(history["zero"])) == 3


def test_dropout_counts_its_draws_as_keras_does(data) -> None:
    one, other = model_of(dropout=0.2), model_of(dropout=0.2)
    compiled(one, *data, epochs=2)
    by_keras(other, *data, epochs=2)
    states = [[np.asarray(v) for v in m.non_trainable_variables if "seed" in v.path] for m in (one, other)]
    assert states[0][0][1] == states[1][0][1] == 6


# Compiled once.


def test_a_second_model_of_the_shape_compiles_nothing(compiles: list[Any], data) -> None:
    X, y = data
    for seed, rate, l2, dropout, rows in (
        (0, 0.1, 0.01, 0.2, 90),
        (1, 0.02, 0.3, 0.5, 61),
        (2, 1.0, 1e-4, 0.1, 32),
    ):
        compiled(model_of(seed, rate, l2=l2, dropout=dropout, momentum=0.5), X[:rows], y[:rows], epochs=2)
    assert len(compiles) == 1


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_search_of_scikit_learn_compiles_each_shape_once(
    early_stopping: bool, compiles: list[Any], data
) -> None:
    search = RandomizedSearchCV(
        KerasMLPRegressor(batch_size=32, epochs=2, early_stopping=early_stopping, random_state=0),
        {"learning_rate": loguniform(1e-4, 1e-2), "l2": loguniform(1e-6, 1e-2), "n_hidden": [1, 2]},
        n_iter=4,
        cv=2,
        random_state=1,
    )
    search.fit(data[0], data[1].ravel())
    assert set(search.cv_results_["param_n_hidden"]) == {1, 2}
    assert len(compiles) == 2


def test_models_that_share_a_compiled_function_keep_their_own_numbers(data) -> None:
    def fitted(fitter: Callable[..., Any], momentum: float, l2: float) -> Any:
        model = model_of(optimizer=keras.optimizers.AdamW(0.02, beta_1=momentum, weight_decay=l2), l2=l2)
        model.optimizer.learning_rate = 0.02
        fitter(model, *data, epochs=2)
        return model

    for momentum, l2 in ((0.9, 0.01), (0.5, 0.2), (0.9, 0.3)):
        assert_same_weights(fitted(compiled, momentum, l2), fitted(by_keras, momentum, l2))


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "tanh"},
        {"optimizer": "adam"},
        {"n_neurons": 7},
        {"batch_normalization": True},
        {"l1": 0.1},
        {"dropout": 0.1},
        {"clipnorm": 0.5},
    ],
)
def test_another_shape_is_compiled_anew(change: dict[str, Any], compiles: list[Any], data) -> None:
    compiled(build_model(1, 6), *data)
    compiled(build_model(**{"n_neurons": 6, **change}), *data)
    assert len(compiles) == 2


def test_code_of_the_users_own_is_never_shared(compiles: list[Any], data) -> None:
    for factor in (1.0, 3.0):

        def loss(y: Any, predicted: Any, factor: float = factor) -> Any:
            return factor * ops.mean(ops.square(y - predicted), axis=-1)

        one, other = model_of(), model_of()
        for model, fitter in ((one, compiled), (other, by_keras)):
            model.compile(keras.optimizers.SGD(0.01), loss)
            fitter(model, *data, epochs=2)
        assert_same_weights(one, other)
        before = len(compiles)
        compiled(one, *data)
        assert len(compiles) == before


def test_adapted_statistics_are_each_models_own(compiles: list[Any], data) -> None:
    X, y = data
    for scale in (1, 5):
        one, other = model_of(normalize=X * scale), model_of(normalize=X * scale)
        compiled(one, X, y, epochs=2)
        by_keras(other, X, y, epochs=2)
        assert_same_weights(one, other)
    assert len(compiles) == 1


def test_compiling_anew_is_noticed(data) -> None:
    one, other = model_of(), model_of()
    for model, fitter in ((one, compiled), (other, by_keras)):
        fitter(model, *data)
        model.compile(keras.optimizers.Adam(0.01), lambda y, p: ops.mean(ops.abs(y - p), axis=-1))
        fitter(model, *data)
        model.compile(keras.optimizers.Adam(0.01), lambda y, p: ops.mean(ops.square(y - p), axis=-1))
        fitter(model, *data)
    assert_same_weights(one, other)


def test_no_model_is_kept_alive(data) -> None:
    def trained(own: bool) -> weakref.ref:
        model = model_of()
        if own:
            model.compile("sgd", lambda y, p: ops.mean(ops.square(y - p), axis=-1))
        compiled(model, *data)
        return weakref.ref(model)

    references = [trained(False), trained(True)]
    keras.utils.clear_session()
    gc.collect()
    assert [reference() for reference in references] == [None, None]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_data_are_on_the_device_once() -> None:
    code = """
import resource, sys
import numpy as np
from kerashp import build_model, fit
X = np.full((2_000_000, 40), 0.5, "float32")
model = build_model(1, 4, 1e-6, X.shape[1])
fit(model, X[:4096], X[:4096, 0], 512, 2, 0, fallback="error")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fit(model, X, X[:, 0], 512, 1, 0, fallback="error")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / X.nbytes)
"""
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert float(out.stdout) < 1.5


# What cannot be compiled.


class OwnStep(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.out = layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.out(x)

    def train_step(self, *arguments: Any) -> Any:
        return super().train_step(*arguments)


class GlobalNoise(layers.Layer):
    def call(self, x: Any) -> Any:
        return x + keras.random.normal(ops.shape(x))


class Untraceable(layers.Layer):
    def call(self, x: Any) -> Any:
        if ops.sum(x) > 1e9:  # a tensor is no bool where the step is traced
            return x
        return x * 1.0


class EveryBatch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches = batch


def _plain(layer: Any = None) -> Any:
    model = keras.Sequential([layers.Input((8,)), *([layer] if layer else []), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def _with(**compiled_with: Any) -> Any:
    model = _plain()
    model.compile(**{"optimizer": "sgd", "loss": "mse", **compiled_with})
    return model


def _own_step() -> Any:
    model = OwnStep()
    model.compile("sgd", "mse")
    return model


def _frozen() -> Any:
    model = _plain()
    model.trainable = False
    model.compile("sgd", "mse")
    return model


def _nothing(batch: int, logs: Any) -> None:
    pass


@pytest.mark.parametrize(
    ("model", "arguments", "reason"),
    [
        (_plain, {"callbacks": [EveryBatch()]}, "EveryBatch.on_train_batch_end is called at every batch"),
        (
            _plain,
            {"callbacks": [keras.callbacks.LambdaCallback(on_train_batch_end=_nothing)]},
            "LambdaCallback.on_train_batch_end is called at every batch",
        ),
        (_plain, {"steps_per_epoch": 2}, "steps_per_epoch=2 limits the batches of an epoch"),
        (
            _plain,
            {"validation_split": 0.2, "validation_steps": 1},
            "validation_steps=1 limits the batches of an epoch",
        ),
        (_own_step, {}, "OwnStep overrides train_step"),
        (lambda: _with(run_eagerly=True), {}, "run_eagerly=True"),
        (
            lambda: _with(optimizer=keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())),
            {},
            "LossScaleOptimizer decides at every batch",
        ),
        pytest.param(
            lambda: _plain(GlobalNoise()),
            {},
            "variables that it does not track",
            marks=pytest.mark.skipif(keras.backend.backend() == "jax", reason="Keras refuses it on JAX"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_compiled_is_trained_by_keras(
    model: Callable[[], Any], arguments: dict[str, Any], reason: str, data
) -> None:
    trained = model()
    with pytest.raises(RuntimeError, match=f"cannot compile this training: .*{reason}.*Pass fallback='warn'"):
        fit(trained, *data, verbose=0, fallback="error", **arguments)
    with pytest.warns(FallbackWarning, match=f"Model.fit trains this model: .*{reason}") as caught:
        history = fit(trained, *data, verbose=0, epochs=2, **arguments)
    (warning,) = [one for one in caught if one.category is FallbackWarning]  # TensorFlow has its own
    assert warning.filename == __file__
    assert len(history.history["loss"]) == 2
    steps = (
        2
        if arguments.get("steps_per_epoch")
        else -(-int(N_ROWS * (1 - arguments.get("validation_split", 0))) // 32)
    )
    assert int(trained.optimizer.iterations) == 2 * steps


def test_batches_that_come_one_by_one_are_trained_by_keras(data) -> None:
    X, y = data

    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            return X[index * 30 : (index + 1) * 30], y[index * 30 : (index + 1) * 30]

    with pytest.warns(FallbackWarning, match="the data are not dense arrays but Batches"):
        history = fit(_plain(), Batches(), verbose=0)
    assert len(history.history["loss"]) == 1
    with pytest.warns(FallbackWarning, match="validation_data are not dense arrays but Batches"):
        fit(_plain(), X, y, validation_data=Batches(), verbose=0)


def test_data_too_large_for_the_device_are_trained_on_by_keras(monkeypatch: pytest.MonkeyPatch, data) -> None:
    monkeypatch.setattr(backend.backend(), "device_memory", lambda: 4000)
    with pytest.warns(FallbackWarning, match="more than 50% of the device's memory"):
        fit(_plain(), *data, verbose=0)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow" or sys.platform != "linux", reason="these run out there alone"
)
def test_a_process_without_memory_maps_compiles_no_more(monkeypatch: pytest.MonkeyPatch, data) -> None:
    clear_cache()
    monkeypatch.setattr(memory_maps, "_max_map_count", lambda: 100)
    with pytest.warns(FallbackWarning, match="memory maps of at most 100(.|\n)*new process"):
        fit(_plain(), *data, verbose=0)
    monkeypatch.undo()
    fit(_plain(), *data, verbose=0, fallback="error")


def test_a_backend_without_an_engine_is_trained_on_by_keras(monkeypatch: pytest.MonkeyPatch, data) -> None:
    monkeypatch.setattr(obstacles, "supported", lambda: False)
    with pytest.warns(FallbackWarning, match="kerashp has no compiled training on the .* backend"):
        fit(_plain(), *data, verbose=0)


def test_an_own_error_of_the_model_is_keras_to_raise(data) -> None:
    class Failing(layers.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            if training:
                raise ZeroDivisionError("on purpose")
            return x

    with (
        pytest.warns(FallbackWarning, match="ZeroDivisionError.*on purpose"),
        pytest.raises(ZeroDivisionError),
    ):
        fit(_plain(Failing()), *data, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.ones((5, 8)), "y": np.ones(4)}, "Make sure all arrays contain the same number of samples"),
        ({"x": np.ones((5, 3)), "y": np.ones(5)}, "incompatible"),
        ({"x": np.ones((5, 8)), "y": np.ones(5), "validation_split": 0.99}, "not sufficient to split"),
    ],
)
def test_data_that_do_not_fit_get_keras_error(arguments: dict[str, Any], message: str) -> None:
    errors = (ValueError, RuntimeError)  # Keras 3.13 raises the second from the first
    with pytest.raises(errors, match=message):
        fit(_plain(), verbose=0, **arguments)


def test_other_mistakes_are_named(data) -> None:
    with pytest.raises(ValueError, match="fallback must be 'warn' or 'error'; got 'silent'"):
        fit(_plain(), *data, fallback="silent")
    with pytest.raises(ValueError, match="compile"):
        fit(keras.Sequential([layers.Dense(1)]), *data)


# Frames and other containers.


def test_frames_train_as_their_arrays_do(data) -> None:
    import pandas as pd

    X, y = data
    frames = model_of()
    compiled(frames, pd.DataFrame(X), pd.Series(y[:, 0]), epochs=2)
    arrays = model_of()
    compiled(arrays, X, y, epochs=2)
    assert_same_weights(frames, arrays)


def test_the_callers_data_are_left_alone(data) -> None:
    X, y = data
    before = X.copy(), y.copy()
    compiled(model_of(), X, y, shuffle=True, epochs=2, validation_split=0.2)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_a_batch_size_of_numpys_is_as_good_as_pythons() -> None:
    X = np.random.default_rng(0).normal(size=(50, 8)).astype("float32")
    keras.utils.set_random_seed(0)
    one = fit(build_model(), X, X[:, 0], batch_size=np.int64(16), validation_split=0.2, verbose=0)
    keras.utils.set_random_seed(0)
    other = fit(build_model(), X, X[:, 0], batch_size=16, validation_split=0.2, verbose=0)
    assert one.history == other.history  # and no FallbackWarning
