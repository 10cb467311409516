"""Networks that begin with another's lower layers."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

import kerashp.diagnostics
from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, build_model, fit
from kerashp.model_selection import GridSearchCV
from kerashp.models import transfer, unfreeze

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4)).astype("float32")
Y = X[:, 0] - X[:, 1]


def model(n_neurons: Any = 5, **options: Any) -> Any:
    return build_model(2, n_neurons, 0.05, (4,), **options)


def assert_equal(ones: list[np.ndarray], others: list[np.ndarray]) -> None:
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)


def differ(ones: list[np.ndarray], others: list[np.ndarray]) -> list[bool]:
    return [not np.array_equal(one, other) for one, other in zip(ones, others, strict=True)]


@pytest.mark.parametrize(("layers", "n_copied"), [(None, 4), (1, 2), (2, 4), (3, 6)])
def test_the_lower_layers_are_copied(layers: int | None, n_copied: int) -> None:
    source, target = model(), model()
    before, own = source.get_weights(), target.get_weights()
    assert transfer(source, target, layers=layers) is target
    assert_equal(target.get_weights()[:n_copied], before[:n_copied])
    assert_equal(target.get_weights()[n_copied:], own[n_copied:])
    assert_equal(source.get_weights(), before)
    assert source.trainable
    assert all(layer.trainable for layer in source.layers)


def test_layers_without_weights_do_not_count() -> None:
    source, target = model(dropout=0.3), model(l2=0.1)
    transfer(source, target, layers=2)
    assert_equal(target.get_weights()[:4], source.get_weights()[:4])


@pytest.mark.parametrize("train", [fit, keras.Model.fit])
def test_frozen_layers_stay_until_they_are_not(train: Any) -> None:
    source, target = model(batch_normalization=True), model(batch_normalization=True, optimizer="adam")
    options = {"epochs": 2, "verbose": 0}
    train(target, X, Y, **options)  # its optimizer and its traced step know all weights
    transfer(source, target)
    before = target.get_weights()
    train(target, X, Y, **options)
    assert differ(target.get_weights(), before) == [False] * 10 + [True, True]
    assert unfreeze(target, learning_rate=0.01) is target
    assert float(target.optimizer.learning_rate) == np.float32(0.01)
    assert isinstance(target.optimizer, keras.optimizers.Adam)
    train(target, X, Y, **options)
    assert all(differ(target.get_weights(), before))


def test_a_copy_need_not_be_frozen() -> None:
    source, target = model(), model()
    transfer(source, target, freeze=False)
    fit(target, X, Y, epochs=1, verbose=0)
    assert all(differ(target.get_weights()[:4], source.get_weights()[:4]))


def test_the_optimizers_schedule_gives_way_to_the_rate() -> None:
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    own = build_model(1, 3, decay, (4,))
    unfreeze(own, 0.001)
    assert float(own.optimizer.learning_rate) == np.float32(0.001)


def test_a_model_is_saved_with_its_new_rate(tmp_path: Path) -> None:
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    own = unfreeze(build_model(1, 3, decay, (4,)), 0.001)
    own.save(tmp_path / "own.keras")
    assert float(keras.saving.load_model(tmp_path / "own.keras").optimizer.learning_rate) == np.float32(0.001)
    scaled = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    scaled.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(decay)), "mse")
    unfreeze(scaled, 0.001)
    assert float(scaled.optimizer.inner_optimizer.learning_rate) == np.float32(0.001)


def test_a_copied_normalization_computes_with_what_was_copied() -> None:
    rows = 5 + 3 * X
    source, target = model(normalize=rows), model(normalize=X)
    target.predict(X, verbose=0)  # which Keras traces with the target's own
    transfer(source, target, layers=4)
    np.testing.assert_allclose(target.predict(rows, verbose=0), source.predict(rows, verbose=0), rtol=1e-5)


def test_weights_without_names_are_copied() -> None:
    class Linear(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(shape[-1], 3))

        def call(self, x: Any) -> Any:
            return x @ self.w

    source, target = (
        keras.Sequential([keras.Input((4,)), Linear(), keras.layers.Dense(1)]) for _ in range(2)
    )
    transfer(source, target)
    assert_equal(target.get_weights()[:1], source.get_weights()[:1])


def test_diagnostics_has_them_too() -> None:
    assert kerashp.diagnostics.transfer is transfer
    assert kerashp.diagnostics.unfreeze is unfreeze


def _unbuilt() -> Any:
    return keras.Sequential([keras.layers.Dense(1)])


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ((model, lambda: 3), TypeError, "target_model must be a keras.Model; got 3"),
        ((_unbuilt, model), ValueError, "source_model must be built; got one that is not"),
        ((model, model, 4), ValueError, r"layers must be from 1 to 3, .*\(source 3, target 3\); got 4"),
        ((model, model, 0), ValueError, "layers must be an integer >= 1; got 0"),
        ((model, model, 1, "yes"), TypeError, "freeze must be True or False"),
        (
            (model, lambda: model([5, 7])),
            ValueError,
            r"layer 2 .*'hidden_2' is Dense with \(5, 5\), \(5,\), the target's .* is Dense with \(5, 7\)",
        ),
        ((model, lambda: model(batch_normalization=True), 2), ValueError, "layer 1 must be the same"),
    ],
)
def test_what_transfer_refuses(arguments: tuple, error: type[Exception], said: str) -> None:
    source, target, *rest = arguments
    source, target = source(), target()
    before = target.get_weights() if isinstance(target, keras.Model) else []
    with pytest.raises(error, match=said):
        transfer(source, target, *rest)
    if before:
        assert_equal(target.get_weights(), before)


def test_what_unfreeze_refuses() -> None:
    bare = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="unfreeze: model must be compiled"):
        unfreeze(bare, 0.1)
    with pytest.raises(ValueError, match="learning_rate must be a number > 0; got 0"):
        unfreeze(model(), 0)
    with pytest.raises(TypeError, match="unfreeze: model must be a keras.Model"):
        unfreeze(None, 0.1)


# Estimators.

CLASSES = np.where(Y > 0, "up", "down")


@pytest.fixture(scope="module")
def source() -> Any:
    return KerasMLPClassifier(1, 5, normalize=False, epochs=3, random_state=0).fit(X, CLASSES)


def test_an_estimator_begins_with_anothers_weights(source: Any, tmp_path: Path) -> None:
    weights = source.model_.get_weights()
    source.model_.save(tmp_path / "model.keras")
    path = tmp_path / "model.keras"
    still = KerasMLPClassifier(1, 5, 1e-30, epochs=1, random_state=1, normalize=False)
    for start in (source, source.model_, path, str(path), FrozenEstimator(source)):
        again = clone(still.set_params(warm_start_from=start)).fit(X, CLASSES)
        assert_equal(again.model_.get_weights(), weights)
    assert_equal(source.model_.get_weights(), weights)


def test_the_output_is_taken_for_the_same_classes_only(source: Any) -> None:
    still = KerasMLPClassifier(1, 5, 1e-30, epochs=1, random_state=1, warm_start_from=source, normalize=False)
    for y in (np.where(Y > 0, "no", "yes"), rng.integers(3, size=60)):
        taken = differ(still.fit(X, y).model_.get_weights(), source.model_.get_weights())
        assert taken[:2] == [False, False]
        assert taken[2]


def test_a_wrapped_model_function_begins_with_anothers_weights(source: Any) -> None:
    def build(input_shape: Any, rate: float = 1e-30) -> Any:
        return build_model(1, 5, rate, input_shape, task="binary")

    classifier = KerasClassifier(build, epochs=1, random_state=0, warm_start_from=source)
    again = clone(classifier).fit(X, CLASSES)
    assert_equal(again.model_.get_weights(), source.model_.get_weights())
    assert clone(classifier).get_params()["warm_start_from"] is source


def test_what_a_model_function_froze_stays_frozen(source: Any) -> None:
    def build(input_shape: Any) -> Any:
        own = build_model(1, 5, 0.1, input_shape, task="binary")
        own.layers[0].trainable = False
        return own

    classifier = KerasClassifier(build, epochs=2, random_state=0, warm_start_from=source).fit(X, CLASSES)
    taken = differ(classifier.model_.get_weights(), source.model_.get_weights())
    assert taken == [False, False, True, True]


def test_a_search_begins_with_anothers_weights(source: Any) -> None:
    own = {"epochs": 2, "normalize": False, "random_state": 0}
    classifier = KerasMLPClassifier(1, 5, **own, warm_start_from=source)
    search = GridSearchCV(classifier, {"learning_rate": [1e-30, 1e-3]}, cv=2).fit(X, CLASSES)
    assert not search.plan_.alone
    assert len(search.plan_.groups) == 1
    folds = StratifiedKFold(2).split(X, CLASSES)
    accuracy = np.mean([source.score(X[test], CLASSES[test]) for _, test in folds])
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(accuracy)
    assert_equal(
        GridSearchCV(classifier, {"learning_rate": [1e-30]}, cv=2)
        .fit(X, CLASSES)
        .best_estimator_.model_.get_weights(),
        source.model_.get_weights(),
    )


def test_what_warm_start_from_refuses(source: Any, tmp_path: Path) -> None:
    classifier = KerasMLPClassifier(1, 5, epochs=1, normalize=False)
    (tmp_path / "damaged.keras").write_bytes(b"not a model")
    source.model_.save_weights(tmp_path / "own.weights.h5")
    with pytest.raises(TypeError, match="Pass the last step of a pipeline"):
        classifier.set_params(warm_start_from=make_pipeline(source)).fit(X, CLASSES)
    for start, said in (
        (tmp_path / "damaged.keras", r"warm_start_from='.*damaged.keras' cannot be loaded .*Pass a .keras"),
        (tmp_path / "own.weights.h5", r"must be the path of an existing .keras file; got '.*weights.h5'"),
        (KerasMLPRegressor(), "which is not fitted. Fit it first"),
        ("nowhere.keras", "must be the path of an existing .keras file; got 'nowhere.keras'"),
        (
            KerasMLPClassifier(1, 6, epochs=1, normalize=False).fit(X, CLASSES),
            r"another network .*layer 1 .*\(4, 6\)",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            classifier.set_params(warm_start_from=start).fit(X, CLASSES)
    with pytest.raises(ValueError, match="The 'warm_start_from' parameter of KerasMLPClassifier must be"):
        classifier.set_params(warm_start_from=3).fit(X, CLASSES)
