"""clone, pickle, joblib, deepcopy, save and load: the same predictions, and no file that runs code."""

import copy
import hashlib
import io
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import joblib
import keras
import numpy as np
import pandas as pd
import pytest
from keras.src.backend.common import global_state
from sklearn.base import BaseEstimator, clone

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, KerasRegressor, build_model


def small(n_units=4, input_shape=(4,)):
    layers = [keras.layers.Dense(n_units, "relu"), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input(input_shape), *layers])
    model.compile(loss="categorical_crossentropy", optimizer="adam")
    return model


class Shift(keras.layers.Layer):
    """A layer that Keras has no name for."""

    def call(self, x):
        return x + 1.0


def my_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


def custom(input_shape=(4,)):
    model = keras.Sequential([keras.Input(input_shape), Shift(), keras.layers.Dense(1)])
    model.compile(loss=my_loss, optimizer="adam", metrics=["mae"])
    return model


def _cases() -> dict[str, BaseEstimator]:
    shared = {"epochs": 2, "random_state": 0}
    return {
        "mlp classifier": KerasMLPClassifier(
            n_neurons=(8, 4), class_weight={"a": 1.0, "b": 2.0, "c": 1.0}, **shared
        ),
        "mlp regressor": KerasMLPRegressor(dtype="float64", normalize=True, **shared),
        "classifier": KerasClassifier(small, n_units=np.int64(5), **shared),
        "regressor": KerasRegressor(**shared),
    }


CASES = _cases()


def _fitted(
    estimator: BaseEstimator, iris: tuple[np.ndarray, np.ndarray]
) -> tuple[BaseEstimator, np.ndarray]:
    X, y = iris
    if hasattr(estimator, "predict_proba"):
        return clone(estimator).fit(X, np.array(["a", "b", "c"])[y]), X
    return clone(estimator).fit(X, X[:, :2]), X


def _outputs(estimator: BaseEstimator, X: Any) -> np.ndarray:
    return estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.predict(X)


def _joblib(estimator: BaseEstimator) -> BaseEstimator:
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "copied",
    [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy, copy.copy, _joblib],
    ids=["pickle", "deepcopy", "copy", "joblib"],
)
def test_a_copy_predicts_the_same(iris, case: str, copied: Any) -> None:
    fitted, X = _fitted(CASES[case], iris)
    again = copied(fitted)
    np.testing.assert_array_equal(_outputs(again, X), _outputs(fitted, X))
    assert again.history_ == fitted.history_
    assert again.model_ is not fitted.model_


def test_a_copy_trains_on_as_the_original_would(iris) -> None:
    fitted, X = _fitted(CASES["mlp classifier"], iris)
    again = pickle.loads(pickle.dumps(fitted))
    y = np.array(["a", "b", "c"])[iris[1]]
    np.testing.assert_array_equal(_outputs(again.partial_fit(X, y), X), _outputs(fitted.partial_fit(X, y), X))


@pytest.mark.parametrize("how", ["pickle", "copy", "load"])
def test_a_copy_of_a_float64_network_trains_on_in_float64(iris, how: str, tmp_path: Path) -> None:
    X, _ = iris
    fitted = KerasMLPRegressor(epochs=2, l2=1e-3, shuffle=False, dtype="float64").fit(X, X[:, :2])
    fitted.save(tmp_path / "saved")
    copied = {
        "pickle": lambda: pickle.loads(pickle.dumps(fitted)),
        "copy": lambda: copy.copy(fitted),
        "load": lambda: KerasMLPRegressor.load(tmp_path / "saved"),
    }
    again = copied[how]().partial_fit(X, X[:, :2])
    fitted.partial_fit(X, X[:, :2])
    np.testing.assert_allclose(again.predict(X), fitted.predict(X), rtol=1e-12)
    assert again.model_.loss.dtype == "float64"


def test_a_clone_fits_to_the_same_numbers(iris) -> None:
    for case in CASES.values():
        fitted, X = _fitted(case, iris)
        again, _ = _fitted(fitted, iris)
        np.testing.assert_array_equal(_outputs(again, X), _outputs(fitted, X))


def test_layers_and_losses_without_a_registered_name_are_pickled(iris) -> None:
    X, y = iris
    fitted = KerasRegressor(custom, epochs=1, random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    again.partial_fit(X, y)
    assert len(again.history_["loss"]) == 2


class Halves(keras.regularizers.Regularizer):
    def __call__(self, x):
        return 0.5 * keras.ops.sum(x**2)

    def get_config(self):
        return {}


class Ones(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None, **kwargs):
        return keras.ops.ones(shape, dtype=dtype)


class Slower(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1 / (1.0 + keras.ops.cast(step, "float32"))

    def get_config(self):
        return {}


def test_parts_of_layers_and_schedules_of_ones_own_are_pickled(iris) -> None:
    def build(input_shape=(4,)):
        layer = keras.layers.Dense(1, kernel_regularizer=Halves(), kernel_initializer=Ones())
        model = keras.Sequential([keras.Input(input_shape), layer])
        model.compile(loss="mse", optimizer=keras.optimizers.SGD(Slower()))
        return model

    X, y = iris
    for estimator in (KerasRegressor(build), KerasMLPRegressor(learning_rate=Slower(), epochs=1)):
        fitted = clone(estimator).set_params(random_state=0).fit(X, y)
        for again in (copy.deepcopy(fitted), copy.copy(fitted)):
            np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_an_estimator_around_a_model_is_pickled(iris) -> None:
    X, y = iris
    fitted = KerasRegressor(custom(), random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(again.fit(X, y).predict(X), fitted.predict(X))


def test_an_unfitted_estimator_is_pickled() -> None:
    for case in CASES.values():
        assert repr(pickle.loads(pickle.dumps(case))) == repr(case)


# save and load.


def _loaded(fitted: Any, path: Path) -> Any:
    """What was saved, with its model function, of which `load` would warn."""
    given = {"model": fitted.model} if getattr(fitted, "model", build_model) is not build_model else {}
    return type(fitted).load(path, **given)


@pytest.mark.parametrize("case", CASES)
def test_saved_and_loaded_it_predicts_the_same(iris, case: str, tmp_path: Path) -> None:
    fitted, X = _fitted(CASES[case], iris)
    fitted.save(tmp_path / "kept")
    again = _loaded(fitted, tmp_path / "kept")
    np.testing.assert_array_equal(_outputs(again, X), _outputs(fitted, X))
    assert again.predict(X).dtype == fitted.predict(X).dtype
    assert again.history_ == fitted.history_
    assert again.best_epoch_ == fitted.best_epoch_
    others = ("model_", "target_encoder_", "feature_encoder_", "callbacks_")
    learned = [name for name in vars(fitted) if name.endswith("_") and name not in others]
    assert "n_features_in_" in learned
    for name in learned:
        assert getattr(again, name) == getattr(fitted, name)
    kept = {name: value for name, value in fitted.get_params().items() if name != "model"}
    assert {name: again.get_params()[name] for name in kept} == kept
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "arrays.npz",
        "estimator.json",
        "model.keras",
    ]


def test_feature_names_arrays_and_labels_are_kept(iris, tmp_path: Path) -> None:
    X, y = iris
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    labels = np.array(["x", "y", "z"], dtype=object)[y]
    estimator = KerasClassifier(n_neurons=np.array([6, 5]), normalize=X, epochs=1, random_state=0).fit(
        frame, labels
    )
    estimator.save(tmp_path)
    again = KerasClassifier.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(frame), estimator.predict_proba(frame))
    np.testing.assert_array_equal(again.normalize, X)
    assert again.classes_.dtype == object
    with pytest.raises(ValueError, match="feature names"):
        again.predict(frame[["b", "a", "c", "d"]])


def test_the_model_function_is_given_again(iris, tmp_path: Path) -> None:
    X, y = iris
    KerasClassifier(small, epochs=1, random_state=0).fit(X, y).save(tmp_path)
    without = (
        r"Classifier\.load: .* does not contain the function.*cannot be fitted.*set_params\(model=\.\.\.\)"
    )
    with pytest.warns(UserWarning, match=without):
        again = KerasClassifier.load(tmp_path)
    assert again.predict(X).shape == y.shape
    for refused in (again.fit, again.initialize):
        with pytest.raises(
            ValueError, match=r"Got None instead: call set_params\(model=\.\.\.\) with a function"
        ):
            refused(X, y)
    assert again.set_params(model=small).fit(X, y).score(X, y) > 0.1
    assert KerasClassifier.load(tmp_path, model=small).fit(X, y).score(X, y) > 0.1


def test_what_cannot_be_kept_is_named(iris, tmp_path: Path) -> None:
    X, y = iris
    estimator = KerasMLPRegressor(epochs=1, callbacks=[keras.callbacks.TerminateOnNaN()]).fit(X, y)
    with pytest.warns(
        UserWarning, match=r"callbacks cannot be saved without pickle.*load\(path, callbacks=\.\.\.\)"
    ):
        estimator.save(tmp_path)
    assert KerasMLPRegressor.load(tmp_path).callbacks is None


@pytest.mark.slow
def test_load_in_a_fresh_process(iris, tmp_path: Path) -> None:
    fitted, X = _fitted(CASES["mlp regressor"], iris)
    fitted.save(tmp_path)
    np.save(tmp_path / "X.npy", X)
    code = (
        "import sys, numpy as np; from kerashp import KerasMLPRegressor as R; f = sys.argv[1]; "
        "print(repr(R.load(f).predict(np.load(f + '/X.npy')).tolist()))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    np.testing.assert_allclose(json.loads(printed), fitted.predict(X), rtol=1e-12)


@pytest.mark.parametrize("is_repeated", [False, True])
def test_a_loaded_stream_does_not_count_its_first_rows_again(iris, is_repeated: bool, tmp_path: Path) -> None:
    X = iris[0].astype("float32")
    stream = (
        KerasMLPRegressor(random_state=0).partial_fit(X[:20], X[:20, 0]).partial_fit(X[20:60], X[20:60, 0])
    )
    if is_repeated:
        stream.partial_fit(X[:20], X[:20, 0])
    stream.save(tmp_path)
    loaded = KerasMLPRegressor.load(tmp_path)
    for rows in [X[20:60]] if is_repeated else [X[:20], X[20:60]]:  # further epochs
        loaded.partial_fit(rows, rows[:, 0])
    assert float(loaded._network.layers[-1].kernel_regularizer.l2) == pytest.approx(
        float(stream._network.layers[-1].kernel_regularizer.l2)
    )


@pytest.fixture
def kept(iris, tmp_path: Path) -> Path:
    fitted, _ = _fitted(KerasMLPRegressor(epochs=1, random_state=0), iris)
    fitted.save(tmp_path / "kept")
    return tmp_path / "kept"


def _vouch(folder: Path) -> None:
    """Make the digests right again, as somebody who writes a hostile folder would."""
    manifest = json.loads((folder / "estimator.json").read_text())
    manifest.pop("digest")
    for name in manifest["sha256"]:
        manifest["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    manifest["digest"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (folder / "estimator.json").write_text(json.dumps(manifest))


def _load(folder: Path) -> Any:
    return KerasMLPRegressor.load(folder)


@pytest.mark.parametrize("name", ["model.keras", "arrays.npz", "estimator.json"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_a_truncated_file_is_one_clear_error(kept: Path, name: str, share: float) -> None:
    whole = (kept / name).read_bytes()
    (kept / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(
        ValueError, match=rf"cannot load an estimator from .*{name}.*fit and save the estimator again"
    ):
        _load(kept)


@pytest.mark.parametrize("name", ["model.keras", "arrays.npz"])
def test_a_flipped_byte_is_one_clear_error(kept: Path, name: str) -> None:
    whole = bytearray((kept / name).read_bytes())
    for place in (10, len(whole) // 2, len(whole) - 10):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (kept / name).write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{name} is not the file that was saved.*digest differs"):
            _load(kept)


@pytest.mark.parametrize("name", ["model.keras", "arrays.npz", "estimator.json"])
def test_a_missing_file_is_one_clear_error(kept: Path, name: str) -> None:
    (kept / name).unlink()
    with pytest.raises(ValueError, match=rf"cannot load an estimator from .*{name}.*FileNotFoundError"):
        _load(kept)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"learned": {}},
        {"params": {"n_hiden": 1}},
        {"sha256": {"../model.keras": "0", "arrays.npz": "0"}},
        {"input_shape": [5]},
        {"first_rows": [5]},
        {"not_kept": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_manifest_that_lies_is_one_clear_error(kept: Path, change: dict[str, Any]) -> None:
    manifest = json.loads((kept / "estimator.json").read_text())
    (kept / "estimator.json").write_text(json.dumps(manifest | change))
    with pytest.raises(
        ValueError, match="cannot load an estimator from .*estimator.json.*digest differs|format 99|\\.\\./"
    ):
        _load(kept)
    for name in change.get("sha256", ()):
        (kept / name).touch()
    _vouch(kept)
    with pytest.raises(ValueError, match="cannot load an estimator from"):
        _load(kept)


@pytest.mark.parametrize("key", ["class", "digest", "params", "sha256"])
def test_a_manifest_that_lacks_a_key_is_one_clear_error(kept: Path, key: str) -> None:
    manifest = json.loads((kept / "estimator.json").read_text())
    del manifest[key]
    (kept / "estimator.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="cannot load an estimator from .*estimator.json"):
        _load(kept)


def test_a_changed_digit_in_the_manifest_is_one_clear_error(kept: Path) -> None:
    text = (kept / "estimator.json").read_text()
    assert '"epochs": 1' in text
    (kept / "estimator.json").write_text(text.replace('"epochs": 1', '"epochs": 3'))
    with pytest.raises(ValueError, match="estimator.json does not describe an estimator .*digest differs"):
        _load(kept)


def test_a_lambda_does_not_run(kept: Path, tmp_path: Path) -> None:
    mark = str(tmp_path / "ran")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: (Path(mark).touch(), x)[1])])
    assert Path(mark).exists()
    model.save(kept / "model.keras")
    Path(mark).unlink()
    _vouch(kept)
    with pytest.raises(ValueError, match="Keras refuses its model.keras in safe mode.*Lambda"):
        _load(kept)
    assert not Path(mark).exists()


def test_safe_mode_cannot_be_switched_off_around_load(kept: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x)])
    model.save(kept / "model.keras")
    _vouch(kept)
    keras.config.enable_unsafe_deserialization()
    try:
        with pytest.raises(ValueError, match="Keras refuses its model.keras in safe mode"):
            _load(kept)
    finally:
        global_state.set_global_attribute("safe_mode_saving", None)


def test_a_pickle_inside_the_arrays_does_not_run(kept: Path, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    np.savez(kept / "arrays.npz", target=np.array([Hostile()], dtype=object))
    _vouch(kept)
    with pytest.raises(ValueError, match="arrays.npz or estimator.json lacks.*allow_pickle=False"):
        _load(kept)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["model.keras", "arrays.npz", "estimator.json"])
def test_a_link_that_leaves_the_folder_is_refused(kept: Path, tmp_path: Path, name: str) -> None:
    (kept / name).rename(tmp_path / name)
    (kept / name).symlink_to(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name} leads out of the folder"):
        _load(kept)


@pytest.mark.parametrize("member", ["../ran", "/ran", "a/../../ran", "..\\ran"])
def test_a_member_that_leaves_the_folder_is_refused(kept: Path, member: str) -> None:
    with zipfile.ZipFile(kept / "model.keras", "a") as archive:
        archive.writestr(member, "x")
    _vouch(kept)
    with pytest.raises(ValueError, match="its member .* leads out of the folder"):
        _load(kept)


def test_another_class_is_refused_by_name(kept: Path) -> None:
    with pytest.raises(TypeError, match="contains a KerasMLPRegressor, not a KerasMLPClassifier"):
        KerasMLPClassifier.load(kept)
