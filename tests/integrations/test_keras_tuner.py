"""kerashp inside keras-tuner's tuners, as they ship."""

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.model_selection import KFold

from kerashp import KerasMLPClassifier, KerasMLPRegressor, build_model, fit
from kerashp.integrations.keras_tuner import MLPHyperModel
from kerashp.spaces import one_minus_loguniform
from kerashp.training import FallbackWarning

X = pd.DataFrame(np.random.default_rng(0).normal(size=(64, 4)), columns=list("abcd"))
Y = X["a"] - X["b"]
SPACE = {
    "learning_rate": loguniform(1e-3, 1e-1),
    "momentum": one_minus_loguniform(0.5, 0.99),
    "n_neurons": [(4,), 5],
}
HYPERMODEL = MLPHyperModel(SPACE, input_shape=(4,))


def searched(tuner: Any, path: Path, hypermodel: Any = HYPERMODEL, **options: Any) -> Any:
    """A tuner of this class after a search on pandas' data."""
    own = {key: options.pop(key) for key in ("epochs", "batch_size", "callbacks") if key in options}
    arguments = {"objective": "val_loss", "seed": 1, "directory": path}
    made = tuner(hypermodel, **(arguments | options))
    made.search(X, Y, validation_split=0.25, verbose=0, **own)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tuner", "options", "n_trials"),
    [
        (keras_tuner.RandomSearch, {"max_trials": 2, "epochs": 3}, 2),
        (keras_tuner.BayesianOptimization, {"max_trials": 3, "num_initial_points": 2, "epochs": 2}, 3),
        (keras_tuner.GridSearch, {"max_trials": 2, "epochs": 2}, 2),
        (keras_tuner.Hyperband, {"max_epochs": 2, "factor": 2}, 5),
    ],
)
def test_tuners_train_by_compiled_epochs(
    tuner: Any, options: dict[str, Any], n_trials: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("Model.fit trains"))
    done = searched(tuner, tmp_path, **options)
    trials = list(done.oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * n_trials
    best = done.oracle.get_best_trials()[0]
    assert best.score == min(trial.score for trial in trials)
    # The weights of the best epoch were saved, with the optimizer's state: loading warns of nothing.
    (model,) = done.get_best_models()
    assert model.evaluate(X[48:], Y[48:], verbose=0) == pytest.approx(best.score, rel=1e-5)


def test_a_trial_is_a_fit_of_the_same_model() -> None:
    hp = keras_tuner.HyperParameters()
    HYPERMODEL.build(hp)
    assert [one.name for one in hp.space] == ["learning_rate", "1 - momentum", "position of n_neurons"]
    hp.values = {"learning_rate": 0.02, "1 - momentum": 0.25, "position of n_neurons": 1}
    model = HYPERMODEL.build(hp)
    assert [tuple(weight.shape) for weight in model.weights] == [(4, 5), (5,), (5, 1), (1,)]
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)
    assert model.optimizer.momentum == 0.75
    weights = model.get_weights()
    actual = HYPERMODEL.fit(hp, model, X, Y, epochs=2, shuffle=False, verbose=0).history["loss"]
    model = HYPERMODEL.build(hp)
    model.set_weights(weights)
    expected = model.fit(X, Y, epochs=2, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_the_objective_can_be_the_accuracy_of_any_classification(task: str, tmp_path: Path) -> None:
    rows = X.to_numpy()
    y = {"binary": rows[:, 0] > 0, "multiclass": np.digitize(rows[:, 0], [-0.5, 0.5])}.get(
        task, rows[:, :3] > 0
    )
    options = {
        "task": task,
        "n_outputs": 1 if task == "binary" else 3,
        "input_shape": (4,),
        "optimizer": "adam",
    }
    hypermodel = MLPHyperModel({"learning_rate": [0.1, 0.01]}, **options)
    tuner = keras_tuner.RandomSearch(hypermodel, "val_accuracy", max_trials=2, seed=1, directory=tmp_path)
    tuner.search(rows, y.astype(int), epochs=2, validation_split=0.25, verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2
    (model,) = tuner.get_best_models()
    predicted = model.predict(rows[48:], verbose=0)
    predicted = predicted.argmax(axis=1) if task == "multiclass" else (predicted > 0.5).reshape(y[48:].shape)
    assert tuner.oracle.get_best_trials()[0].score == pytest.approx(np.mean(predicted == y[48:]))


def test_metrics_are_the_users_where_given() -> None:
    for metrics, names in ((["mae"], ["loss", "mae"]), ([], ["loss"]), (None, ["loss"])):
        hypermodel = MLPHyperModel({"l2": [0.1]}, task="binary", input_shape=(4,), metrics=metrics)
        model = hypermodel.build(keras_tuner.HyperParameters())
        assert list(model.evaluate(X, Y > 0, verbose=0, return_dict=True)) == names
    searched_metrics = MLPHyperModel({"metrics": [["mae"]]}, task="binary", input_shape=(4,))
    model = searched_metrics.build(keras_tuner.HyperParameters())
    assert list(model.evaluate(X, Y > 0, verbose=0, return_dict=True)) == ["loss", "mae"]


def test_training_arguments_can_be_searched(tmp_path: Path) -> None:
    space = {"batch_size": [16], "epochs": [2]}
    hypermodel = MLPHyperModel(space, input_shape=(4,), n_neurons=5)
    seen: list[int] = []

    class Seen(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append(int(self.model.optimizer.iterations))

    done = searched(keras_tuner.RandomSearch, tmp_path, hypermodel, max_trials=1, callbacks=[Seen()])
    assert done.oracle.trials["0"].status == "COMPLETED"
    # 48 rows are 3 batches.
    assert seen == [3, 6]
    with pytest.raises(ValueError, match="'epochs' is in space, but the tuner passes it, too"):
        searched(keras_tuner.Hyperband, tmp_path / "2", hypermodel, max_epochs=2)


def test_several_spaces(tmp_path: Path) -> None:
    spaces = [{"n_hidden": [0]}, {"optimizer": ["adam"], "n_neurons": [5]}]
    hypermodel = MLPHyperModel(spaces, input_shape=(4,))
    done = searched(keras_tuner.GridSearch, tmp_path, hypermodel, epochs=1)
    assert [trial.hyperparameters.values for trial in done.oracle.trials.values()] == [
        {"kerashp/space": 0, "kerashp/0/n_hidden": 0},
        {"kerashp/space": 1, "kerashp/1/optimizer": "adam", "kerashp/1/n_neurons": 5},
    ]


class Hypermodel(keras_tuner.HyperModel):
    """Calls `kerashp.fit` itself."""

    def __init__(self, fallback: str):
        super().__init__()
        self.fallback = fallback

    def build(self, hp: Any) -> keras.Model:
        return build_model(1, 4, hp.Float("learning_rate", 1e-3, 1e-1), input_shape=4)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        return fit(model, *args, fallback=self.fallback, **kwargs)


def test_a_hypermodel_that_calls_fit_itself_stays_compiled(tmp_path: Path) -> None:
    done = searched(keras_tuner.RandomSearch, tmp_path, Hypermodel("error"), max_trials=2, epochs=2)
    assert [trial.status for trial in done.oracle.trials.values()] == ["COMPLETED"] * 2


class Batches(keras_tuner.RandomSearch):
    """Looks at every batch."""

    n_batches = 0

    def on_batch_end(self, *_: Any, **__: Any) -> None:
        type(self).n_batches += 1


@pytest.mark.parametrize("hypermodel", [HYPERMODEL, Hypermodel("warn")])
def test_a_tuner_that_looks_at_batches_sees_them(
    hypermodel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Batches, "n_batches", 0)
    with pytest.warns(FallbackWarning, match="TunerCallback.on_batch_begin is called at every batch"):
        searched(Batches, tmp_path, hypermodel, max_trials=1, epochs=2)
    assert Batches.n_batches == 2 * 2  # 48 rows


def test_a_tuner_whose_instance_looks_at_batches_sees_them(tmp_path: Path) -> None:
    tuner = keras_tuner.RandomSearch(HYPERMODEL, "val_loss", max_trials=1, seed=1, directory=tmp_path)
    seen: list[int] = []
    tuner.on_batch_end = lambda *arguments: seen.append(arguments[2])
    with pytest.warns(FallbackWarning, match="TunerCallback.on_batch_begin is called at every batch"):
        tuner.search(X, Y, epochs=1, validation_split=0.25, verbose=0)
    assert seen == [0, 1]


def sklearn_tuner(hypermodel: Any, path: Path, **options: Any) -> Any:
    oracle = keras_tuner.oracles.RandomSearchOracle(
        keras_tuner.Objective("score", "max"), max_trials=2, seed=1
    )
    oracle.verbose = 0
    return keras_tuner.SklearnTuner(oracle, hypermodel, cv=KFold(2), directory=path, **options)


def test_sklearn_tuner(tmp_path: Path) -> None:
    hypermodel = MLPHyperModel(
        SPACE, as_estimator=True, optimizer="sgd", epochs=3, batch_size=32, random_state=0
    )
    tuner = sklearn_tuner(hypermodel, tmp_path)
    tuner.search(X, Y.to_frame())
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2
    (best,) = tuner.get_best_models()
    assert isinstance(best, KerasMLPRegressor)
    other = clone(best).fit(X[32:], Y[32:])  # the model of the last fold is the one that is kept
    scores = [best.score(X[32:], Y[32:]), other.score(X[:32], Y[:32])]
    assert tuner.oracle.get_best_trials()[0].score == pytest.approx(np.mean(scores))


def test_sklearn_tuner_itself_refuses_a_series(tmp_path: Path) -> None:
    tuner = sklearn_tuner(MLPHyperModel({"l2": [0.1, 0.2]}, as_estimator=True), tmp_path)
    tuner.search(X, Y)
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["FAILED"] * 2
    assert "Expected the data to be numpy.ndarray or pandas.DataFrame" in tuner.oracle.trials["0"].message


def test_the_task_decides_the_estimator() -> None:
    hypermodel = MLPHyperModel({"l2": [0.1]}, as_estimator=True, task="multiclass", epochs=3)
    built = hypermodel.build(keras_tuner.HyperParameters())
    assert isinstance(built, KerasMLPClassifier)
    assert (built.l2, built.epochs) == (0.1, 3)


@pytest.mark.parametrize(
    ("space", "options", "expected_message"),
    [
        ({"width": [1]}, {}, "there is no argument 'width'; there are .*'n_neurons'.* also 'batch_size'"),
        ({"l2": [1.0]}, {"epochs": 3}, "there is no argument 'epochs'"),
        ({"input_shape": [(3,)]}, {"as_estimator": True}, "there is no argument 'input_shape'"),
        ([{"l2": [1.0]}, {"l1": [1.0]}], {"l1": 0.0}, "'l1' is in space and in fixed"),
        ({"l2": []}, {}, "list of parameter 'l2' is empty"),
    ],
)
def test_wrong_arguments(space: Any, options: dict[str, Any], expected_message: str) -> None:
    with pytest.raises(ValueError, match=expected_message):
        MLPHyperModel(space, **options)
