"""kerashp on JAX where TensorFlow is not installed: `make test-jax-alone` makes such an environment."""

import importlib
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

import kerashp
from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, build_model, fit
from kerashp.callbacks import CosineRestarts, EarlyStopping, ModelCheckpoint
from kerashp.diagnostics import check_gradients, check_initialization, diagnose, find_learning_rate
from kerashp.model_selection import HalvingGridSearchCV, OracleSearchCV, RandomizedSearchCV
from kerashp.schedules import LinearWarmup, warmup_cosine_restarts
from kerashp.spaces import int_loguniform, recommended_space, to_hyperparameters, zoom
from kerashp.training import Member, Population

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4)).astype("float32")
Y = (X[:, 0] - X[:, 1]).astype("float32")


@pytest.fixture(autouse=True)
def without_tensorflow() -> None:
    """This file is about environments without it."""
    assert keras.backend.backend() == "jax"
    assert find_spec("tensorflow") is None
    assert "tensorflow" not in sys.modules


def model(learning_rate: object = 0.05) -> keras.Model:
    keras.utils.set_random_seed(0)
    made = build_model(1, 5, input_shape=4)
    made.compile(keras.optimizers.SGD(learning_rate), "mse")
    return made


@pytest.mark.parametrize("name", kerashp._MODULES)
def test_every_public_module_is_imported(name: str) -> None:
    assert importlib.import_module(f"kerashp.{name}").__name__ == f"kerashp.{name}"


def test_fit_gives_the_numbers_of_keras() -> None:
    options = {"epochs": 3, "batch_size": 16, "shuffle": False, "verbose": 0}
    expected = model().fit(X, Y, **options).history["loss"]
    got = fit(model(), X, Y, fallback="error", **options).history["loss"]
    assert got == pytest.approx(expected, rel=1e-4)


def test_callbacks_and_checkpoints(tmp_path: Path) -> None:
    trained, checkpoint = model(), ModelCheckpoint(tmp_path / "{epoch:02d}.keras")
    callbacks = [CosineRestarts(2), EarlyStopping(patience=9), checkpoint]
    history = fit(trained, X, Y, epochs=4, validation_split=0.25, verbose=0, callbacks=callbacks)
    assert len(history.history["val_loss"]) == 4
    assert ModelCheckpoint(tmp_path / "{epoch:02d}.keras").resume(model()) == 4


@pytest.mark.parametrize("rate", [LinearWarmup(0.1, 5), warmup_cosine_restarts(0.1, 2, 8)])
def test_schedules(rate: object) -> None:
    history = fit(model(rate), X, Y, epochs=2, verbose=0, fallback="error").history
    assert np.isfinite(history["loss"]).all()


def test_a_population_ends_as_its_members_do_alone() -> None:
    members = [Member(model(rate)) for rate in (0.05, 0.01)]
    together = Population(members, X, Y, batch_size=16, shuffle=False).train(2)
    for rate, trained in zip((0.05, 0.01), together, strict=True):
        alone = fit(model(rate), X, Y, epochs=2, batch_size=16, shuffle=False, verbose=0).history["loss"]
        assert trained.history["loss"] == pytest.approx(alone, rel=1e-4)


def test_diagnostics_of_models() -> None:
    trained = model()
    assert "layer" in str(check_initialization(trained, X)).lower()
    assert check_gradients(trained, X[:8], Y[:8]).verdict == "right"
    assert find_learning_rate(trained, X, Y).suggestion > 0
    history = fit(trained, X, Y, epochs=12, validation_split=0.25, verbose=0)
    assert diagnose(history, y=Y).findings is not None


def test_spaces() -> None:
    space = {"n_neurons": int_loguniform(3, 30)}
    results = {"params": [{"n_neurons": 5}], "mean_test_score": [1.0], "rank_test_score": [1]}
    assert zoom(space, results, 0.5)["n_neurons"].support()[1] < 30
    assert "learning_rate" in recommended_space(4, 60, "regression")


def test_an_estimator_and_its_searches() -> None:
    regressor = KerasMLPRegressor(1, 4, epochs=4, random_state=0)
    search = RandomizedSearchCV(regressor, {"n_neurons": [3, 4, 5]}, n_iter=3, cv=2, random_state=0)
    assert np.isfinite(search.fit(X, Y).cv_results_["mean_test_score"]).all()
    assert len(search.plan_.groups) == 1
    halving = HalvingGridSearchCV(regressor, {"learning_rate": [0.1, 0.01, 0.001]}, cv=2, min_resources=1)
    assert halving.fit(X, Y).best_params_["learning_rate"] in (0.1, 0.01, 0.001)
    labels = np.where(Y > 0, "up", "down")
    for classifier in (KerasMLPClassifier(1, 4, epochs=2), KerasClassifier(epochs=2)):
        assert set(classifier.fit(X, labels).predict(X)) <= {"up", "down"}


def test_an_estimator_is_saved_and_loaded(tmp_path: Path) -> None:
    fitted = KerasMLPRegressor(1, 4, epochs=2, random_state=0).fit(X, Y)
    fitted.save(tmp_path)
    np.testing.assert_array_equal(KerasMLPRegressor.load(tmp_path).predict(X), fitted.predict(X))


@pytest.mark.skipif(find_spec("grpc") is not None, reason="keras-tuner has what it does not declare")
def test_keras_tuner_says_what_it_lacks() -> None:
    lacks = re.escape("No module named 'grpc'") + ".*pip install keras-tuner grpcio protobuf"
    with pytest.raises(ImportError, match=lacks):
        to_hyperparameters({"n_neurons": [3, 4]})
    search = OracleSearchCV(KerasMLPRegressor(epochs=1), {"n_neurons": [3, 4]}, n_trials=2, batch=1)
    with pytest.raises(ImportError, match=lacks):
        search.fit(X, Y)


def test_estimators_say_what_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "scikeras"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scikeras._utils", None)
    monkeypatch.delitem(sys.modules, "kerashp._compat.scikeras")
    reduced = vars(keras.Model).get("__reduce__")
    with pytest.raises(ImportError, match=r"extend scikeras, which cannot be .*pip install scikeras"):
        importlib.import_module("kerashp._compat.scikeras")
    assert vars(keras.Model).get("__reduce__") is reduced
