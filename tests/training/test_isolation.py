"""The same random_state gives the same numbers, and the process is left as it was."""

import logging
import pickle
import random
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as tf_config

from kerashp import KerasMLPClassifier, KerasMLPRegressor, KerasRegressor, build_model
from kerashp.training import isolated
from kerashp.training._runtime.temporary_values import temporary_values


def _draws() -> list[float]:
    """The next numbers of every generator of the process: those of two processes agree if their states do."""
    return [
        random.random(),
        float(np.random.random()),
        float(tf.random.uniform([])),
        float(keras.random.uniform([])),
    ]


def _seeded() -> None:
    keras.utils.set_random_seed(7)
    _draws()  # so that it matters where in its sequence a generator stands


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_fit_leaves_the_random_states_where_they_were(diabetes, dtype: str) -> None:
    _seeded()
    expected = [_draws(), _draws()]
    _seeded()
    got = [_draws()]
    KerasMLPRegressor(epochs=2, dropout=0.1, random_state=0, dtype=dtype, early_stopping=True).fit(*diabetes)
    got.append(_draws())
    assert got == expected


def test_an_op_with_a_seed_of_its_own_goes_on_after_a_fit(diabetes) -> None:
    tf.random.set_seed(3)
    expected = [float(tf.random.uniform([], seed=1)) for _ in range(2)]
    tf.random.set_seed(3)
    got = [float(tf.random.uniform([], seed=1))]
    KerasMLPRegressor(epochs=1, random_state=0).fit(*diabetes)
    got.append(float(tf.random.uniform([], seed=1)))
    assert got == expected
    assert got[0] != got[1]


@pytest.mark.parametrize("switch", [False, True])
def test_a_fit_leaves_determinism_and_keras_settings(diabetes, switch: bool) -> None:
    before = tf_config.is_op_determinism_enabled()
    policy = keras.config.dtype_policy()
    try:
        if switch:
            keras.utils.set_random_seed(0)
            tf_config.enable_op_determinism()
        KerasMLPRegressor(epochs=1, random_state=0, dtype="float64").fit(*diabetes).predict(diabetes[0])
        assert tf_config.is_op_determinism_enabled() == switch
    finally:
        (tf_config.enable_op_determinism if before else tf_config.disable_op_determinism)()
    assert keras.config.floatx() == "float32"
    assert keras.config.dtype_policy() == policy
    assert keras.config.image_data_format() == "channels_last"


def test_ctrl_c_while_values_are_replaced_restores_them() -> None:
    class Interrupted(dict[str, int]):
        def __setitem__(self, key: str, value: int) -> None:
            if key == "b":
                raise KeyboardInterrupt
            super().__setitem__(key, value)

    values = Interrupted(a=1)
    with pytest.raises(KeyboardInterrupt), temporary_values((values, "a", 2), (values, "b", 3)):
        pytest.fail("not all values are replaced")
    assert values == {"a": 1}


def test_a_fit_that_fails_leaves_the_process_too(diabetes) -> None:
    _seeded()
    expected = [_draws(), _draws()]
    _seeded()
    got = [_draws()]

    def build():
        raise RuntimeError("no model today")

    with pytest.raises(RuntimeError, match="no model today"):
        KerasRegressor(build, random_state=0).fit(*diabetes)
    got.append(_draws())
    assert got == expected


def test_a_callers_mixed_precision_policy_does_not_reach_a_float32_network(diabetes) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        fitted = KerasMLPRegressor(epochs=1, random_state=0).fit(*diabetes)
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy(before)
    assert {layer.compute_dtype for layer in fitted.model_.layers} == {"float32"}


@pytest.mark.parametrize("options", [{}, {"dropout": 0.3, "batch_size": 32}, {"early_stopping": True}])
def test_the_same_random_state_gives_the_same_numbers(iris, options: dict) -> None:
    def run(seed: int) -> np.ndarray:
        return KerasMLPClassifier(epochs=3, random_state=seed, **options).fit(*iris).predict_proba(iris[0])

    first = run(0)
    keras.random.uniform([3])
    np.random.random(5)
    np.testing.assert_array_equal(run(0), first)
    assert not np.allclose(run(1), first)


def test_without_a_random_state_numpys_generator_decides(iris) -> None:
    def run() -> np.ndarray:
        return KerasMLPClassifier(epochs=1).fit(*iris).predict_proba(iris[0])

    np.random.seed(0)
    first, second = run(), run()
    np.random.seed(0)
    np.testing.assert_array_equal(run(), first)
    assert not np.allclose(first, second)


def test_a_random_state_instance_moves_on_from_fit_to_fit(iris) -> None:
    def runs() -> list[np.ndarray]:
        state = np.random.RandomState(0)
        return [
            KerasMLPClassifier(epochs=1, random_state=state).fit(*iris).predict_proba(iris[0])
            for _ in range(2)
        ]

    first, again = runs(), runs()
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first[0], first[1])


def test_a_model_functions_own_numpy_draws_follow_the_random_state(diabetes) -> None:
    def build(input_shape=(10,)):
        model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(1)])
        model.layers[0].set_weights([np.random.normal(size=(10, 1)), np.zeros(1)])
        return model

    def run() -> np.ndarray:
        return KerasRegressor(build, random_state=3).fit(*diabetes).predict(diabetes[0])

    np.testing.assert_array_equal(run(), run())


def test_fits_in_threads_do_not_mix_their_seeds(diabetes) -> None:
    def run(results: dict, seed: int, dtype: str) -> None:
        estimator = KerasMLPRegressor(epochs=2, dropout=0.2, random_state=seed, dtype=dtype)
        results[seed] = estimator.fit(*diabetes).predict(diabetes[0])

    alone: dict[int, np.ndarray] = {}
    together: dict[int, np.ndarray] = {}
    jobs = [(0, "float32"), (1, "float64"), (2, "float32")]
    for seed, dtype in jobs:
        run(alone, seed, dtype)
    threads = [threading.Thread(target=run, args=(together, seed, dtype)) for seed, dtype in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keras.config.floatx() == "float32"
    for seed, _ in jobs:
        np.testing.assert_array_equal(together[seed], alone[seed])


def test_a_float_type_that_the_backend_has_not_is_refused(monkeypatch: pytest.MonkeyPatch, diabetes) -> None:
    # What JAX does unless it is told otherwise.
    zeros = keras.ops.zeros
    monkeypatch.setattr(
        keras.ops, "zeros", lambda shape, dtype: zeros(shape, dtype=dtype.replace("64", "32"))
    )
    with pytest.raises(
        ValueError, match="dtype='float64' is not available on this backend: .* computes in float32"
    ):
        KerasMLPRegressor(dtype="float64").fit(*diabetes)
    assert keras.config.floatx() == "float32"


def test_many_fits_log_no_warning_of_retracing(diabetes, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("tensorflow")
    filters = list(logger.filters)
    logger.addHandler(caplog.handler)
    try:
        for _ in range(8):
            KerasMLPRegressor(epochs=1).fit(*diabetes)
        logger.warning("something else")
    finally:
        logger.removeHandler(caplog.handler)
    assert "retracing" not in caplog.text
    assert "something else" in caplog.text
    assert logger.filters == filters


def test_isolated_restores_after_an_error() -> None:
    before = pickle.dumps((random.getstate(), keras.config.floatx()))

    def fail() -> None:
        random.random()
        raise ArithmeticError

    with pytest.raises(ArithmeticError), isolated(seed=1, dtype="float64"):
        fail()
    assert pickle.dumps((random.getstate(), keras.config.floatx())) == before


def test_other_threads_that_draw_do_not_change_initial_weights() -> None:
    def weights() -> np.ndarray:
        with isolated(seed=3):
            return build_model(1, 4, 0.1, 3).get_weights()[0]

    expected, ended = weights(), threading.Event()

    def draw() -> None:
        while not ended.is_set():
            random.random()

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        found = [weights() for _ in range(5)]
    finally:
        ended.set()
        thread.join()
    for one in found:
        np.testing.assert_array_equal(one, expected)
