"""Checkpoints: what they restore, what they keep, and what they refuse."""

import json
import os
import shutil
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerashp import KerasMLPRegressor, build_model, fit
from kerashp._files import atomic_write, digest, digest_of_json
from kerashp.callbacks import CheckpointError, CosineRestarts, EarlyStopping, ModelCheckpoint
from kerashp.callbacks._architecture import architecture, first_difference
from kerashp.training import LearningRateCallback

rng = np.random.default_rng(0)
X = rng.normal(size=(80, 4)).astype("float32")
Y = X[:, 0] - X[:, 1] + 0.2 * rng.normal(size=80).astype("float32")
OPTIONS = {"validation_split": 0.25, "verbose": 0, "shuffle": False}
EACH = "{epoch:02d}.keras"


def model(**options: Any) -> Any:
    keras.utils.set_random_seed(0)
    return build_model(1, 5, options.pop("learning_rate", 0.1), (4,), **{"dropout": 0.2, **options})


def trained(
    folder: Path, epochs: int, callbacks: Sequence[Any] = (), train: Any = fit, **options: Any
) -> Any:
    """A model trained on from what is in the folder, and its checkpoint."""
    network = model()
    checkpoint = ModelCheckpoint(folder / options.pop("name", EACH), **options)
    first = checkpoint.resume(network)
    train(network, X, Y, epochs=epochs, initial_epoch=first, callbacks=[*callbacks, checkpoint], **OPTIONS)
    return network, checkpoint


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoints of three epochs."""
    folder = tmp_path_factory.mktemp("saved")
    trained(folder, 3)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    return tmp_path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def listed(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "epoch.keras.json").read_text())["records"]


CALLBACKS: dict[str, Callable[[], list[Any]]] = {
    "nothing": list,
    "restarts": lambda: [CosineRestarts(2.5)],
    "stopping": lambda: [
        EarlyStopping(patience=3, min_delta=0.02),
        keras.callbacks.ReduceLROnPlateau(patience=1, min_delta=0.05),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train", "name", "beside"),
    [
        *[(fit, name, beside) for name in ("{epoch}.weights.h5", "one.keras") for beside in CALLBACKS],
        (keras.Model.fit, "{epoch}.weights.h5", "restarts"),
        (keras.Model.fit, "one.keras", "stopping"),
    ],
)
def test_a_resumed_training_ends_as_one_that_was_not_interrupted(
    train: Any, name: str, beside: str, tmp_path: Path
) -> None:
    ends, whole = [], [8]
    for run, all_epochs in enumerate((whole, [2, 3, 8, 8])):
        for epochs in all_epochs:
            callbacks = CALLBACKS[beside]()
            network, _ = trained(tmp_path / str(run), epochs, callbacks, train, name=name)
        rate = float(network.optimizer.learning_rate)
        ends.append(
            [rate, *network.get_weights(), *(variable.numpy() for variable in network.optimizer.variables)]
        )
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("train", [fit, keras.Model.fit], ids=["ours", "by Keras"])
@pytest.mark.parametrize("name", [EACH, "{epoch}.weights.h5"])
def test_a_training_that_early_stopping_ended_is_complete(train: Any, name: str, tmp_path: Path) -> None:
    def run() -> tuple[Any, Any, int]:
        network, checkpoint = model(), ModelCheckpoint(tmp_path / name, monitor="loss", mode="max")
        first = checkpoint.resume(network)
        stopping = EarlyStopping(patience=2, min_delta=0.05)
        history = train(
            network, X, Y, epochs=30, initial_epoch=first, callbacks=[stopping, checkpoint], **OPTIONS
        )
        assert checkpoint.stopped_early == (not history.history)
        return network, stopping, first

    ended, stopping, first = run()
    assert first == 0
    n_epochs = stopping.stopped_epoch + 1
    assert 3 < n_epochs < 30
    for _ in range(2):  # a script that is run again and again
        network, again, first = run()
        assert (first, again.stopped_epoch, again.best_epoch) == (n_epochs, n_epochs - 1, stopping.best_epoch)
        assert len(list(tmp_path.iterdir())) == n_epochs + 1
        for one, other in zip(network.get_weights(), ended.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    assert len(train(network, X, Y, epochs=2, **OPTIONS).history["loss"]) == 2  # the model is as others are
    checkpoint = ModelCheckpoint(tmp_path / name)
    assert checkpoint.resume(network, best=True) == 1
    assert not checkpoint.stopped_early


def test_the_order_of_rows_goes_on(tmp_path: Path) -> None:
    ends = []
    for run, all_epochs in enumerate(([4], [1, 4])):
        for epochs in all_epochs:
            network, checkpoint = model(), ModelCheckpoint(tmp_path / str(run) / EACH)
            first = checkpoint.resume(network)
            fit(network, X, Y, epochs=epochs, initial_epoch=first, callbacks=[checkpoint], verbose=0)
        ends.append(network.get_weights())
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


def shown(checkpoint: ModelCheckpoint, losses: list[float], network: Any = None) -> Any:
    """The checkpoint, after epochs with these validation losses, and the model as it was after each."""
    network = network or model()
    checkpoint.set_model(network)
    for epoch, loss in enumerate(losses):
        network.set_weights([weight + np.float32(epoch) for weight in network.get_weights()])
        checkpoint.on_epoch_end(epoch, {"loss": 1.0, "val_loss": loss})
        yield network.get_weights()


def test_the_last_and_the_best_files_are_kept(tmp_path: Path) -> None:
    list(shown(ModelCheckpoint(tmp_path / EACH, keep=2), [3.0, 2.0, 1.0]))
    assert files(tmp_path) == ["02.keras", "03.keras", "epoch.keras.json"]
    checkpoint = ModelCheckpoint(tmp_path / "w" / "epoch" / EACH, keep=1)
    list(shown(checkpoint, [1.0, 2.0, 3.0]))
    assert files(tmp_path / "w" / "epoch") == ["01.keras", "03.keras", "epoch.keras.json"]
    records = listed(tmp_path / "w" / "epoch")
    assert [record["is_best"] for record in records] == [True, False]
    assert checkpoint.resume(model(), best=True) == 1


def test_only_the_best_are_saved(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / EACH, save_best_only=True, initial_value_threshold=4.5)
    list(shown(checkpoint, [5.0, 4.0, 4.5, 3.0]))
    assert [(r["epoch"], r["metrics"]["val_loss"]) for r in listed(tmp_path)] == [(1, 4.0), (3, 3.0)]
    assert checkpoint.best == 3.0
    assert files(tmp_path) == ["02.keras", "04.keras", "epoch.keras.json"]


def test_rolling_back_to_the_best_epoch(tmp_path: Path) -> None:
    network, checkpoint = model(), ModelCheckpoint(tmp_path / EACH)
    weights = list(shown(checkpoint, [3.0, 1.0, 2.0, 4.0], network))
    assert checkpoint.resume(network, best=True) == 2
    for one, other in zip(network.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(one, other)
    network.optimizer.learning_rate = 0.05
    fit(network, X, Y, epochs=4, initial_epoch=2, callbacks=[checkpoint], **OPTIONS)
    assert float(network.optimizer.learning_rate) == np.float32(0.05)
    assert [record["epoch"] for record in listed(tmp_path)] == [0, 1, 2, 3]
    assert ModelCheckpoint(tmp_path / EACH).resume(network) == 4


def test_keras_loads_the_files(tmp_path: Path) -> None:
    network, _ = trained(tmp_path, 1, name="one.keras")
    weights, _ = trained(tmp_path, 1, name="one.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "one.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), network.predict(X, verbose=0))
    other = model()
    other.optimizer.build(other.trainable_variables)
    other.load_weights(tmp_path / "one.weights.h5")
    np.testing.assert_array_equal(other.predict(X, verbose=0), weights.predict(X, verbose=0))


def test_a_model_that_diverged_is_not_saved(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / EACH, save_best_only=True, monitor="loss")
    network = model(learning_rate=1e30)
    with pytest.warns(UserWarning, match="epoch 1 is not saved, nor .*: its loss is (nan|inf)") as warned:
        fit(network, X, Y, epochs=2, callbacks=[checkpoint], **OPTIONS)
    assert [warning.category for warning in warned].count(UserWarning) == 1
    assert files(tmp_path) == []
    assert checkpoint.best is None
    network.set_weights([weight * np.nan for weight in network.get_weights()])
    again = ModelCheckpoint(tmp_path / EACH)
    again.set_model(network)
    with pytest.warns(UserWarning, match=r"epoch 3 is not saved, .*kernel is not finite"):
        again.on_epoch_end(2, {"loss": 1.0})
    network.set_weights(model().get_weights())
    every = ModelCheckpoint(tmp_path / EACH, monitor="score", mode="max")
    every.set_model(network)
    for epoch, score in enumerate((np.nan, 1.0, np.inf)):
        every.on_epoch_end(epoch, {"loss": 1.0, "score": score})
    assert [record["is_best"] for record in listed(tmp_path)] == [False, True, False]


def test_several_checkpoints_of_one_training(tmp_path: Path) -> None:
    def run(epochs: int) -> list[Any]:
        best = ModelCheckpoint(tmp_path / "best.keras", save_best_only=True)
        last = ModelCheckpoint(tmp_path / "last.keras")
        network = model()
        first = last.resume(network)
        fit(network, X, Y, epochs=epochs, initial_epoch=first, callbacks=[best, last], **OPTIONS)
        return [best, last]

    before = [checkpoint.best for checkpoint in run(3)]
    assert [checkpoint.best for checkpoint in run(3)] == before
    network, last = model(), ModelCheckpoint(tmp_path / "last.keras")
    with pytest.raises(ValueError, match="resume must be called on the last ModelCheckpoint"):
        fit(
            network,
            X,
            Y,
            16,
            5,
            initial_epoch=last.resume(network),
            callbacks=[last, ModelCheckpoint("x.keras")],
        )


def test_estimators_save_checkpoints(tmp_path: Path) -> None:
    regressor = KerasMLPRegressor(5, epochs=2, callbacks=[ModelCheckpoint(tmp_path / EACH, monitor="loss")])
    regressor.set_params(n_hidden=1).fit(X, Y)
    assert files(tmp_path) == ["01.keras", "02.keras", "epoch.keras.json"]
    regressor.partial_fit(X, Y)
    assert [record["epoch"] for record in listed(tmp_path)] == [0, 1, 2]
    weights = regressor.model_.get_weights()
    regressor.model_.set_weights([0 * weight for weight in weights])
    assert ModelCheckpoint(tmp_path / EACH).resume(regressor.model_) == 3
    for one, other in zip(regressor.model_.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", [EACH, "{epoch}.weights.h5"])
def test_a_resumed_estimator_predicts_in_the_targets_own_units(tmp_path: Path, name: str) -> None:
    targets = 1e3 * Y + 2e4
    options = {"epochs": 3, "batch_size": 16, "dropout": 0.2}
    saved = KerasMLPRegressor(callbacks=[ModelCheckpoint(tmp_path / name, monitor="loss")], **options)
    expected = saved.fit(X, targets).predict(X)
    other = KerasMLPRegressor(random_state=1, **options).fit(X, targets)
    assert ModelCheckpoint(tmp_path / name, monitor="loss").resume(other.model_) == 3
    np.testing.assert_allclose(other.predict(X), expected, rtol=1e-6)
    np.testing.assert_allclose(other.model_.predict(X, verbose=0)[:, 0], expected, rtol=1e-6)
    if name == EACH:
        loaded = keras.saving.load_model(tmp_path / "03.keras")
        np.testing.assert_allclose(loaded.predict(X, verbose=0)[:, 0], expected, rtol=1e-6)
        still = KerasMLPRegressor(learning_rate=1e-30, epochs=1, warm_start_from=tmp_path / "03.keras")
        np.testing.assert_allclose(still.fit(X, targets).predict(X), expected, rtol=1e-6)


def test_an_estimators_own_callbacks_come_before_its_checkpoint(tmp_path: Path) -> None:
    options = {"schedule": "cosine", "warmup_epochs": 1, "early_stopping": True, "epochs": 3}
    regressor = KerasMLPRegressor(1, 5, callbacks=[ModelCheckpoint(tmp_path / EACH)], **options).fit(X, Y)
    assert len(listed(tmp_path)) == len(regressor.history_["loss"])


def test_a_checkpoint_that_was_resumed_is_not_what_an_estimator_copies(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / EACH, monitor="loss")
    regressor = KerasMLPRegressor(1, 5, epochs=3, callbacks=[checkpoint]).fit(X, Y)
    assert checkpoint.resume(regressor.model_) == 3
    regressor.partial_fit(X, Y)
    assert [record["epoch"] for record in listed(tmp_path)] == [0, 1, 2, 3]


def test_one_checkpoint_of_two_trainings(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / EACH)
    fit(model(), X, Y, epochs=3, callbacks=[checkpoint], **OPTIONS)
    other = model(activation="tanh")
    fit(other, X, Y, epochs=2, callbacks=[checkpoint], **OPTIONS)
    assert [record["epoch"] for record in listed(tmp_path)] == [0, 1]
    assert checkpoint.resume(other) == 2


def test_the_best_value_is_known_where_its_file_is_not(tmp_path: Path) -> None:
    for epoch, loss in enumerate((1.0, 2.0, 3.0)):
        checkpoint = ModelCheckpoint(tmp_path / "one.keras")  # as in each call of partial_fit
        checkpoint.set_model(model())
        checkpoint.on_train_begin()
        checkpoint.on_epoch_begin(epoch)
        checkpoint.on_epoch_end(epoch, {"loss": 1.0, "val_loss": loss})
        assert checkpoint.best == 1.0
    with pytest.raises(ValueError, match="best=True, but no epoch"):
        checkpoint.resume(model(), best=True)


def test_epochs_without_validation_are_left_out(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / EACH, save_best_only=True)
    with pytest.warns(UserWarning, match="epoch 1 is not saved, nor are others without validation: monitor"):
        fit(model(), X, Y, epochs=4, validation_freq=2, callbacks=[checkpoint], **OPTIONS)
    assert {record["epoch"] for record in listed(tmp_path)} <= {1, 3}
    assert listed(tmp_path)


class Stop(keras.callbacks.Callback):
    """Ends a process after its second epoch, so to speak."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            raise KeyboardInterrupt


def test_averaged_weights_are_swapped_as_before(tmp_path: Path) -> None:
    def train(folder: Path, *more: Any) -> list[np.ndarray]:
        network = model(optimizer=keras.optimizers.SGD(use_ema=True, ema_momentum=0.5))
        checkpoint = ModelCheckpoint(folder / EACH)
        callbacks = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), checkpoint, *more]
        fit(network, X, Y, epochs=4, initial_epoch=checkpoint.resume(network), callbacks=callbacks, **OPTIONS)
        return network.get_weights()

    undisturbed = train(tmp_path / "one")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "two", Stop())
    for one, other in zip(train(tmp_path / "two"), undisturbed, strict=True):
        np.testing.assert_array_equal(one, other)


# Files that are not what they were.


def damaged(path: Path, seed: int) -> None:
    """Change a file in one of several ways."""
    draw, content = np.random.default_rng(seed), bytearray(path.read_bytes())
    at = int(draw.choice(np.flatnonzero([byte not in b" \n" for byte in content])))
    way = draw.integers(5)
    if way == 0:
        content[at] ^= 1 << int(draw.integers(8))
    elif way == 1:
        del content[at:]
    elif way == 2:
        content[at : at + 40] = draw.bytes(40)
    elif way == 3:
        content = bytearray(draw.bytes(len(content)))
    else:
        path.unlink()
        return
    path.write_bytes(content)


def test_damaged_files_are_refused_by_name(folder: Path) -> None:
    network, refused = model(), 0
    weights = network.get_weights()
    for seed in range(200):
        path = folder / ("03.keras" if seed % 2 else "epoch.keras.json")
        whole = path.read_bytes()
        damaged(path, seed)
        with pytest.raises(CheckpointError, match="(Take another copy of|Copy it from)") as caught:
            ModelCheckpoint(folder / EACH).resume(network)
        assert str(path) in str(caught.value)
        refused += 1
        path.write_bytes(whole)
    assert refused == 200
    for one, other in zip(network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert ModelCheckpoint(folder / EACH).resume(network) == 3


def test_the_remedy_names_an_earlier_file(folder: Path) -> None:
    (folder / "03.keras").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"or load .*02.keras, saved after epoch 2, by keras.saving"):
        ModelCheckpoint(folder / EACH).resume(model())


def test_nothing_is_unpickled(folder: Path) -> None:
    path = folder / "03.keras"
    block = folder / "block.npz"
    np.savez(block, stopped=np.array([{"an": "object"}], dtype=object))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "kerashp.npz": block.read_bytes()}.items():
            archive.writestr(name, content)
    manifest = folder / "epoch.keras.json"
    content = json.loads(manifest.read_text())
    content["records"][-1]["digest"] = digest(path)
    content["digest"] = digest_of_json(content)
    manifest.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"03.keras is damaged \(ValueError: Object arrays cannot be"):
        ModelCheckpoint(folder / EACH).resume(model())


def test_a_manifest_of_another_format_is_refused(folder: Path) -> None:
    manifest = folder / "epoch.keras.json"
    content = {**json.loads(manifest.read_text()), "format": 2}
    manifest.write_text(json.dumps({**content, "digest": digest_of_json(content)}))
    with pytest.raises(CheckpointError, match="its format is 2, not 1"):
        ModelCheckpoint(folder / EACH).resume(model())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda: model(activation="tanh"), "activation=relu.* was saved, and .*activation=tanh"),
        (lambda: model(batch_normalization=True), "Dense.*was saved, and .*Dense"),
        (lambda: build_model(1, 6, 0.1, (4,), dropout=0.2), r"units=5.*\(4, 5\).*units=6.*\(4, 6\)"),
        (lambda: build_model(2, 5, 0.1, (4,), dropout=0.2), "was saved, and the model has Dense"),
        (lambda: model(optimizer="adam"), "SGD with . variables was saved, and the model has Adam"),
        (lambda: model(momentum=0.9), "SGD with 2 variables was saved, and the model has SGD with 6"),
    ],
)
def test_another_model_is_refused(folder: Path, changed: Callable[[], Any], message: str) -> None:
    network = changed()
    weights = network.get_weights()
    with pytest.raises(CheckpointError, match=f"03.keras is of another model: .*{message}"):
        ModelCheckpoint(folder / EACH).resume(network)
    for one, other in zip(network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_rates_are_no_other_model(folder: Path) -> None:
    assert ModelCheckpoint(folder / EACH).resume(model(dropout=0.5, l2=0.1, learning_rate=3.0)) == 3


def _functional(crossed: bool) -> Any:
    one, two = keras.Input((3,)), keras.Input((3,))
    hidden = [keras.layers.Dense(3)(one), keras.layers.Dense(3)(two)]
    first, second = reversed(hidden) if crossed else hidden
    out = keras.layers.Dense(1)(keras.layers.Subtract()([first, second]))
    functional = keras.Model([one, two], out)
    functional.compile("sgd", "mse")
    return functional


def test_connections_are_part_of_an_architecture() -> None:
    straight, again, crossed = [architecture(_functional(c)) for c in (False, False, True)]
    assert first_difference(straight, again) is None
    assert "inputs [0.0.0, 1.0.0]" in str(first_difference(straight, crossed))


def _nested() -> Any:
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    whole, part = keras.Input((3,), name="größe"), keras.Input((3,))
    functional = keras.Model(part, keras.layers.Dense(3)(part))
    out = keras.layers.Dense(1)(inner(functional(whole)))
    network = keras.Model(whole, out)
    network.compile("sgd", "mse")
    return network


def test_the_same_code_builds_the_same_architecture_again() -> None:
    class Linear(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(shape[-1], 3))

        def call(self, x: Any) -> Any:
            return x @ self.w

    class Own(keras.Model):
        def __init__(self) -> None:
            x = keras.Input((3,))
            super().__init__(inputs=x, outputs=Linear()(x))
            self.compile("sgd", "mse")

        def get_config(self) -> dict[str, Any]:
            return {}

    for build in (_nested, Own):
        assert first_difference(architecture(build()), architecture(build())) is None
    assert first_difference(architecture(_nested()), architecture(Own())) is not None


# Writing.


def test_a_new_training_in_a_used_folder_may_be_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def killed(one: Path, other: Path) -> None:
        if str(other).endswith(".keras"):
            raise KeyboardInterrupt
        replace(one, other)

    before = (folder / "01.keras").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(
                model(learning_rate=0.05),
                X,
                Y,
                epochs=1,
                callbacks=[ModelCheckpoint(folder / EACH)],
                **OPTIONS,
            )
    assert (folder / "01.keras").read_bytes() == before
    assert ModelCheckpoint(folder / EACH).resume(model()) == 0


def test_other_files_beside_the_first_checkpoint_to_come(tmp_path: Path) -> None:
    network = model()
    for name in ("best.keras", "final.keras", "1.weights.h5"):
        (network.save_weights if name.endswith(".h5") else network.save)(tmp_path / name)
    assert ModelCheckpoint(tmp_path / EACH).resume(network) == 0
    network.save(tmp_path / "07.keras")
    with pytest.raises(CheckpointError, match=r"07.keras cannot be resumed from"):
        ModelCheckpoint(tmp_path / EACH).resume(network)
    brackets = tmp_path / "run[1]"
    brackets.mkdir()
    network.save(brackets / "3-0.5.keras")
    with pytest.raises(CheckpointError, match=r"3-0.5.keras cannot be resumed from"):
        ModelCheckpoint(brackets / "{epoch}-{val_loss:.1f}.keras").resume(network)


def test_a_write_that_fails_leaves_the_file_of_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    network, checkpoint = model(), ModelCheckpoint(folder / EACH)

    def full(_: Any, path: Path, **_options: Any) -> None:
        Path(path).write_bytes(b"half a mod")
        raise OSError("No space left on device")

    monkeypatch.setattr(keras.Model, "save", full)
    with pytest.raises(OSError, match="No space left"):
        fit(
            network,
            X,
            Y,
            epochs=4,
            initial_epoch=checkpoint.resume(network),
            callbacks=[checkpoint],
            **OPTIONS,
        )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_file_is_moved_to_its_place_whole(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "a.txt"
    with atomic_write(path, lambda beside: beside.write_text("new")) as beside:
        assert not path.exists()
        assert beside.read_text() == "new"
    assert path.read_text() == "new"
    assert files(path.parent) == ["a.txt"]


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"filepath": 3}, TypeError, "filepath must be a str or a pathlib.Path; got 3"),
        ({"filepath": "a.h5"}, ValueError, "filepath must be a name that ends in '.keras' or '.weights.h5'"),
        ({"filepath": "a.keras", "save_freq": 10}, ValueError, "save_freq must be 'epoch'"),
        ({"filepath": "a.keras", "save_weights_only": True}, ValueError, "save_weights_only must be False"),
        ({"filepath": "a.keras", "save_best_only": 1}, TypeError, "save_best_only must be True or False"),
        ({"filepath": "{epoch}.keras", "keep": 0}, ValueError, "keep must be an integer >= 1; got 0"),
        ({"filepath": "a.keras", "keep": 2}, ValueError, "keep must be None where all epochs have one"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ModelCheckpoint(**arguments)


def test_what_resume_refuses(folder: Path) -> None:
    checkpoint = ModelCheckpoint(folder / EACH)
    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="compile"):
        checkpoint.resume(unbuilt)
    unbuilt.compile("sgd", "mse")
    with pytest.raises(ValueError, match="model must be built"):
        checkpoint.resume(unbuilt)
    network = model()
    checkpoint.resume(network)
    with pytest.raises(ValueError, match="resume returned 3, but training begins with epoch 0; pass initial"):
        fit(network, X, Y, epochs=4, callbacks=[checkpoint], **OPTIONS)
    (folder / "epoch.keras.json").unlink()
    with pytest.raises(CheckpointError, match=r"03.keras cannot be resumed from: .*epoch.keras.json, which"):
        checkpoint.resume(network)


def test_a_best_epoch_that_was_saved_over(tmp_path: Path) -> None:
    network, checkpoint = model(), ModelCheckpoint(tmp_path / "one.keras")
    list(shown(checkpoint, [1.0, 2.0], network))
    with pytest.raises(ValueError, match="best=True, but no epoch that .*one.keras.json lists was the best"):
        checkpoint.resume(network, best=True)


def test_it_comes_after_those_whose_state_it_saves(tmp_path: Path) -> None:
    class Warm(LearningRateCallback):
        def schedule(self, learning_rate: float, steps_per_epoch: int) -> Any:
            return keras.optimizers.schedules.ExponentialDecay(learning_rate, 10, 0.5)

    after = [EarlyStopping(), Warm(), keras.callbacks.ModelCheckpoint(tmp_path / "a.keras")]
    with pytest.raises(ValueError, match="must come after EarlyStopping, Warm, ModelCheckpoint in callbacks"):
        fit(model(), X, Y, epochs=1, callbacks=[ModelCheckpoint(tmp_path / EACH), *after], **OPTIONS)


def test_a_callback_that_is_gone(tmp_path: Path) -> None:
    network = model()
    checkpoint = ModelCheckpoint(tmp_path / "x" / EACH)
    fit(network, X, Y, epochs=1, callbacks=[EarlyStopping(), checkpoint], **OPTIONS)
    with pytest.warns(UserWarning, match="holds the state of EarlyStopping, which is missing in callbacks"):
        fit(
            network,
            X,
            Y,
            epochs=2,
            initial_epoch=checkpoint.resume(network),
            callbacks=[checkpoint],
            **OPTIONS,
        )


def test_a_metric_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="monitor must be one of loss, val_loss for save_best_only=True"):
        fit(
            model(),
            X,
            Y,
            epochs=1,
            callbacks=[ModelCheckpoint(tmp_path / EACH, "accuracy", save_best_only=True)],
            **OPTIONS,
        )


def test_keras_own_checkpoints_are_of_standardised_targets(tmp_path: Path) -> None:
    options = {"epochs": 1, "callbacks": [keras.callbacks.ModelCheckpoint(tmp_path / EACH, verbose=0)]}
    with pytest.warns(UserWarning, match=r"\(normalize_target=True\), not those of predict. Use kerashp"):
        KerasMLPRegressor(**options).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        KerasMLPRegressor(normalize_target=False, **options).fit(X, Y)


def test_a_checkpoint_of_other_target_units_is_refused(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / EACH, monitor="loss")
    KerasMLPRegressor(epochs=1, callbacks=[checkpoint]).fit(X, 1e3 * Y)
    other = KerasMLPRegressor(epochs=1).fit(X, Y)
    with pytest.raises(CheckpointError, match=r"Rescaling\(scale=.*was saved, and the model has Rescaling\("):
        ModelCheckpoint(tmp_path / EACH, monitor="loss").resume(other.model_)


def test_it_says_what_it_saves(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    trained(tmp_path, 1, verbose=1)
    assert f"Epoch 1: saved to {tmp_path / '01.keras'} (the best so far)" in capsys.readouterr().out


# Early stopping.


def test_early_stopping_restores_the_best_weights_by_default() -> None:
    best, last = [], []
    for restores, found in ((True, best), (False, last)):
        network = model(learning_rate=0.25)
        stopping = EarlyStopping(patience=3, restore_best_weights=restores)
        losses = fit(network, X, Y, epochs=20, callbacks=[stopping], **OPTIONS).history["val_loss"]
        assert stopping.best_epoch == np.argmin(losses)
        found.append(network.evaluate(X[60:], Y[60:], verbose=0))
    assert EarlyStopping().restore_best_weights
    assert best[0] == pytest.approx(min(losses), rel=1e-5)
    assert last[0] == pytest.approx(losses[-1], rel=1e-5)
    assert best[0] < last[0]


def test_early_stopping_keeps_a_search_together() -> None:
    from kerashp.model_selection import GridSearchCV

    mlp = KerasMLPRegressor(1, 5, epochs=3, random_state=0)
    search = GridSearchCV(mlp, {"learning_rate": [0.01, 0.1]}, cv=2)
    search.fit(X, Y, callbacks=[EarlyStopping("loss", patience=1)])
    assert not search.plan_.alone
    assert len(search.plan_.groups) == 1
