"""Several accelerators: each group of a search, and each population, is on one of them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from kerashp import build_model
from kerashp.model_selection._running import processes
from kerashp.training import Devices, Member, Population, block_size, n_cores, n_devices
from kerashp.training._runtime.backend import backend

_TRAINING = Path(__file__).with_name("training_on_devices.py")
_TWO = "--xla_force_host_platform_device_count=2"


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    flags = os.environ.get("XLA_FLAGS", "")
    if keras.backend.backend() == "jax":
        flags = f"{flags} {_TWO}"
    done = subprocess.run(
        [sys.executable, str(_TRAINING)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"XLA_FLAGS": flags},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_groups_of_a_search_are_on_all_devices(results: dict[str, Any]) -> None:
    assert len(results["search 1"]["used"]) == 1
    assert len(results["search 2"]["used"]) == 2
    np.testing.assert_allclose(results["search 2"]["numbers"], results["search 1"]["numbers"], rtol=1e-5)


@pytest.mark.slow
def test_a_population_stays_on_its_device(results: dict[str, Any]) -> None:
    (first,), (second,) = results["population 1"]["used"], results["population 2"]["used"]
    assert first != second
    for one, other in zip(
        results["population 2"]["numbers"], results["population 1"]["numbers"], strict=True
    ):
        for numbers, expected in zip(one, other, strict=True):
            np.testing.assert_allclose(numbers, expected, rtol=1e-5)


@pytest.mark.slow
def test_networks_are_made_on_the_processor(results: dict[str, Any]) -> None:
    assert results["prototype"]
    assert all(device.endswith(results["devices"][0]) for device in results["prototype"])


def test_the_device_with_the_least_to_do_is_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend(), "devices", lambda: ["a", "b"])
    monkeypatch.setattr(backend(), "on", lambda _: pytest.MonkeyPatch.context())
    devices = Devices()
    assert n_devices() == 2
    with devices.least_busy() as first, devices.least_busy() as second:
        assert (first, second) == ("a", "b")
        with devices.least_busy() as third:
            assert third == "a"
            with devices.least_busy() as fourth:
                assert fourth == "b"
    with devices.least_busy() as again:
        assert again == "a"


def test_one_device_needs_no_pinning() -> None:
    assert n_devices() == 1
    with Devices().least_busy() as device:
        assert device is None


@pytest.mark.parametrize(("visible", "expected"), [(None, ["0", "1", "0"]), ("3,5", ["3", "5", "3"])])
def test_each_process_sees_a_gpu_of_its_own(
    visible: str | None, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(processes, "n_devices", lambda: 2)
    assert [processes._accelerator_of(number)["CUDA_VISIBLE_DEVICES"] for number in range(3)] == expected
    monkeypatch.setattr(processes, "n_devices", lambda: 1)
    assert processes._accelerator_of(0) == {}


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")
def test_tensorflow_knows_a_gpu_and_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from kerashp._compat import tensorflow

    assert (backend().device_kind(), backend().device_memory()) == ("cpu", None)
    listed = [SimpleNamespace(device_type="CPU"), SimpleNamespace(device_type="GPU", memory_limit=2**34)]
    monkeypatch.setattr("tensorflow.config.get_visible_devices", lambda kind: [kind])
    monkeypatch.setattr(tensorflow.device_lib, "list_local_devices", lambda: listed)
    tensorflow.gpu_memory.cache_clear()
    assert (backend().device_kind(), backend().device_memory()) == ("gpu", 2**34)
    tensorflow.gpu_memory.cache_clear()


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of JAX")
def test_jax_knows_a_gpu_and_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (backend().device_kind(), backend().device_memory()) == ("cpu", None)
    device = SimpleNamespace(platform="gpu", memory_stats=lambda: {"bytes_limit": 2**34})
    monkeypatch.setattr("jax.local_devices", lambda: [device])
    assert (backend().device_kind(), backend().device_memory()) == ("gpu", 2**34)


def test_members_on_an_accelerator_train_in_large_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is busy only if they compute at once. That follows from its kind: its memory may not be known."""
    X = np.random.default_rng(0).normal(size=(96, 4)).astype("float32")

    def losses() -> list[list[float]]:
        keras.utils.set_random_seed(0)
        members = [Member(build_model(1, 5, rate, input_shape=4), random_state=0) for rate in (0.01, 0.03)]
        return [trained.history["loss"] for trained in Population(members, X, X[:, 0]).train(epochs=3)]

    on_cpu = losses()
    monkeypatch.setattr(backend(), "device_kind", lambda: "gpu")
    assert n_cores() == 1
    assert [block_size(number, n_cores()) for number in (30, 300, 3000)] == [30, 300, 1000]
    np.testing.assert_allclose(losses(), on_cpu, rtol=1e-5)
