"""Several accelerators: each group of a search, and each population, is on one of them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

import kerashp.callbacks
from kerashp import build_model
from kerashp.model_selection._running import evaluation, processes
from kerashp.training import (
    Devices,
    Member,
    Population,
    block_size,
    clear_cache,
    measured,
    n_cores,
    n_devices,
)
from kerashp.training._runtime.backend import backend

_TRAINING = Path(__file__).with_name("training_on_devices.py")
_LENGTH = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
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


@pytest.mark.slow
def test_a_users_models_are_made_on_the_processor(results: dict[str, Any]) -> None:
    """But for the best candidate's, which is trained by itself, or predicts later."""
    cpu, accelerator = results["devices"]
    *candidates, best = results["models"]
    assert len(candidates) >= 2
    assert all(device.endswith(cpu) for device in candidates)
    assert best.endswith(accelerator)


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

    on_cpu = losses()  # of 3 steps an epoch; a loop of constant length on an accelerator has 4
    monkeypatch.setattr(backend(), "device_kind", lambda: "gpu")
    assert n_cores() == 1
    assert [block_size(number, n_cores()) for number in (30, 300, 3000)] == [30, 300, 1000]
    np.testing.assert_allclose(losses(), on_cpu, rtol=1e-5)


@pytest.mark.parametrize("n_rows", [37, 128, 300])
@pytest.mark.parametrize("n_members", [1, 3])
def test_steps_in_turns_are_the_same_steps(
    n_rows: int, n_members: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An accelerator trains in loops of constant length, and what they compute too much changes nothing."""
    X = np.random.default_rng(0).normal(size=(n_rows, 4)).astype("float32")

    def histories() -> list[dict[str, list[float]]]:
        keras.utils.set_random_seed(0)
        members = [
            Member(
                build_model(2, 5, rate, input_shape=4, dropout=0.2, optimizer="adam"),
                rows=np.arange(n_rows - 9 * index),
                validation_rows=np.arange(n_rows // 2),
                random_state=index,
                schedule=kerashp.callbacks.LearningRateWarmup(5),
            )
            for index, rate in enumerate((0.01, 0.03, 0.1)[:n_members])
        ]
        population = Population(members, X, X[:, 0], validation_batch_size=16)
        return [trained.history for trained in population.train(epochs=3)]

    on_cpu = histories()
    assert {len(history["val_loss"]) for history in on_cpu} == {3}
    monkeypatch.setattr(backend(), "device_kind", lambda: "gpu")
    clear_cache()
    for found, expected in zip(histories(), on_cpu, strict=True):
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)


def test_the_compiler_knows_the_length_of_an_accelerators_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is 4 steps: before any other step, the device has to ask the host."""
    X = np.zeros((300, 4), "float32")

    def lengths() -> list[str]:
        compiled, texts = backend().compiled, []

        def recorded(function: Any, arguments: Any, **options: Any) -> Any:
            texts.append(_compiled_text(function, arguments))
            return compiled(function, arguments, **options)

        with monkeypatch.context() as patched:
            patched.setattr(backend(), "compiled", recorded)
            clear_cache()
            members = [Member(build_model(1, 5, 0.01, input_shape=4), validation_rows=np.arange(64))] * 2
            Population(members, X, X[:, 0]).train(epochs=1)
        return [length for text in texts for length in _LENGTH.findall(text)]

    assert "4" not in lengths()
    monkeypatch.setattr(backend(), "device_kind", lambda: "gpu")
    assert lengths().count("4") == 2  # training and validation


def _compiled_text(function: Any, arguments: Any) -> str:
    """The function as XLA compiles it for these arrays."""
    if keras.backend.backend() == "jax":
        import jax

        text: str = jax.jit(function).lower(*arguments).compile().as_text()
        return text
    import tensorflow as tf

    traced = tf.function(function, jit_compile=True, autograph=False)
    return str(traced.experimental_get_compiler_ir(*map(backend().put, arguments))(stage="optimized_hlo"))


def test_a_search_takes_no_more_memory_than_the_accelerators_have(monkeypatch: pytest.MonkeyPatch) -> None:
    of_machine = evaluation._default_memory()
    assert of_machine > 2**26
    monkeypatch.setattr(backend(), "device_memory", lambda: 2**26)
    assert evaluation._default_memory() == 2**25
    monkeypatch.setattr(backend(), "devices", lambda: ["a", "b"])
    assert evaluation._default_memory() == 2**26
    monkeypatch.setattr(backend(), "device_memory", lambda: 2**60)
    assert evaluation._default_memory() == of_machine


def test_costs_are_measured_on_the_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """There a member costs a share of what many cost together."""
    monkeypatch.setattr(backend(), "device_kind", lambda: "gpu")
    measured.cache_clear()
    costs = measured()
    measured.cache_clear()
    assert 0 < costs.member_seconds < costs.block_seconds
    assert costs.flops_per_second > 1e8
