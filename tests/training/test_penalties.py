"""Penalties on weights that sum by products are Keras' own."""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from kerashp.training._stacking import penalties
from kerashp.training._stacking.penalties import fast_penalties

REGULARIZERS = {
    "l1": keras.regularizers.L1(0.02),
    "l2": keras.regularizers.L2(0.03),
    "both": keras.regularizers.L1L2(0.02, 0.03),
    "orthogonal": keras.regularizers.OrthogonalRegularizer(0.02),
}


SHAPES = {name: [(5, 7)] if name == "orthogonal" else [(7,), (5, 7), (3, 3, 4, 6)] for name in REGULARIZERS}


@pytest.mark.parametrize(
    ("name", "shape"), [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]
)
def test_sums_are_those_of_keras(name: str, shape: tuple[int, ...]) -> None:
    weight = keras.ops.convert_to_tensor(np.random.default_rng(0).normal(size=shape).astype("float32"))
    expected = keras.ops.convert_to_numpy(REGULARIZERS[name](weight))
    with fast_penalties():
        actual = keras.ops.convert_to_numpy(REGULARIZERS[name](weight))
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_other_threads_sum_as_keras_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(penalties, "_sum", lambda x: keras.ops.sum(x) * 0)
    weight = keras.ops.ones((2, 3))
    with ThreadPoolExecutor(1) as other_thread, fast_penalties():
        assert float(REGULARIZERS["l2"](weight)) == 0
        assert float(other_thread.submit(REGULARIZERS["l2"], weight).result()) == pytest.approx(0.18)
    assert float(REGULARIZERS["l2"](weight)) == pytest.approx(0.18)


def test_accelerators_sum_as_keras_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their products may have fewer digits."""
    monkeypatch.setattr(penalties, "_sum", lambda x: keras.ops.sum(x) * 0)
    monkeypatch.setattr(penalties.backend(), "device_kind", lambda: "gpu")
    with fast_penalties():
        assert float(REGULARIZERS["l2"](keras.ops.ones((2, 3)))) == pytest.approx(0.18)
