"""Programs that one process keeps on disk, and others load instead of tracing and compiling."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kerashp
from kerashp import _cache_folder, _loading, build_model
from kerashp.training import Costs, _costs, clear_cache, measured
from kerashp.training._engine import program_files
from kerashp.training._engine.preparation import Preparation, preparation_so_far
from kerashp.training._runtime.backend import backend

ROWS = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
TARGETS = ROWS.sum(axis=1, keepdims=True)

on_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this process's cache, which is empty."""
    monkeypatch.setenv("KERASHP_CACHE", str(tmp_path / "cache"))
    clear_cache()
    return tmp_path / "cache"


def _trained(model: Any) -> tuple[list[np.ndarray], Preparation]:
    """The weights after a short training from the same weights, and what it prepared."""
    for weight in model.weights:
        weight.assign(np.full(weight.shape, 0.1))
    before = preparation_so_far()
    kerashp.fit(model, ROWS, TARGETS, epochs=2, batch_size=16, shuffle=False, verbose=0)
    return model.get_weights(), preparation_so_far() - before


def _model() -> keras.Model:
    return build_model(1, 4, input_shape=3)


def _counts(preparation: Preparation) -> tuple[int, int]:
    return preparation.traced, preparation.loaded


def test_a_function_is_traced_once_a_folder(folder: Path) -> None:
    first, preparation = _trained(_model())
    n_traced = preparation.traced
    assert n_traced >= 1
    assert len(list(folder.iterdir())) == n_traced
    assert preparation.loaded == 0
    _model()  # names count on
    clear_cache()
    second, preparation = _trained(_model())
    assert _counts(preparation) == (0, n_traced)
    np.testing.assert_equal(second, first)
    third, preparation = _trained(_model())
    assert _counts(preparation) == (0, 0)
    np.testing.assert_equal(third, first)


def test_clearing_the_disk_leaves_an_empty_folder(folder: Path) -> None:
    _trained(_model())
    clear_cache()
    assert list(folder.iterdir())
    clear_cache(disk=True)
    assert not list(folder.iterdir())
    _, preparation = _trained(_model())
    assert preparation.loaded == 0
    assert preparation.traced


def test_turned_off_nothing_is_kept_and_clearing_is_no_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("KERASHP_CACHE", "off")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    clear_cache(disk=True)
    _trained(_model())
    assert not list(tmp_path.iterdir())


def _as_kept(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A change of an entry's content, with the checksum of the changed one."""

    def changed(path: Path) -> None:
        entries = _cache_folder.CacheFolder(path.parent)
        content = entries.read(path.stem)
        assert content is not None
        entries.write(path.stem, change(content))

    return changed


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-5]),
        _as_kept(lambda _: b""),
        _as_kept(lambda content: content[:100]),
        _as_kept(lambda content: content[:-2000] + b"\xff" * 2000),
        _as_kept(lambda content: content.replace(b"Carry", b"Other")),
    ],
    ids=["empty", "cut", "no content", "half a content", "no function", "an unknown structure"],
)
def test_what_cannot_be_loaded_is_traced_and_kept_anew(folder: Path, damage: Callable[[Path], None]) -> None:
    expected, preparation = _trained(_model())
    for path in folder.iterdir():
        damage(path)
    for counts in ((preparation.traced, 0), None):
        clear_cache()
        weights, now = _trained(_model())
        np.testing.assert_equal(weights, expected)
        assert counts is None or now.traced > 0
    clear_cache()
    _, now = _trained(_model())
    assert now.traced == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setattr(keras, "__version__", "0"),
        lambda patch: patch.setattr(backend(), "VERSION", "0"),
        lambda patch: patch.setattr(program_files, "processor", lambda: "another"),
        lambda patch: patch.setattr(program_files, "_code", lambda: "another"),
        lambda patch: patch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"] + " "),
    ],
    ids=["Keras", "backend", "processor", "kerashp", "flags"],
)
def test_other_versions_and_machines_have_other_entries(monkeypatch, change) -> None:
    name = program_files.entry_name("a", 1)
    assert program_files.entry_name("a", 1) == name
    assert program_files.entry_name("a", 2) != name
    program_files._environment.cache_clear()
    change(monkeypatch)
    assert program_files.entry_name("a", 1) != name
    monkeypatch.undo()
    program_files._environment.cache_clear()
    assert program_files.entry_name("a", 1) == name


def test_models_with_code_of_the_users_own_are_not_kept(folder: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation=lambda x: 2 * x)])
    model.compile(loss="mse")
    assert _trained(model)[1].traced
    assert not folder.exists() or not list(folder.iterdir())


def test_other_graphs_have_other_entries(folder: Path) -> None:
    _trained(_model())
    n_entries = len(list(folder.iterdir()))
    for model in (build_model(1, 5, input_shape=3), build_model(1, 4, input_shape=3, activation="tanh")):
        clear_cache()
        assert _trained(model)[1].loaded == 0
    assert len(list(folder.iterdir())) == 3 * n_entries


@pytest.mark.usefixtures("folder")
def test_a_folder_that_cannot_be_written_to_breaks_nothing(monkeypatch) -> None:
    expected, _ = _trained(_model())
    clear_cache(disk=True)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_cache_folder.tempfile, "mkstemp", full)
    weights, preparation = _trained(_model())
    np.testing.assert_equal(weights, expected)
    assert preparation.traced


@on_tensorflow
@pytest.mark.usefixtures("folder")
def test_what_keeps_compiled_code_from_the_cache_is_named(monkeypatch) -> None:
    from kerashp.training._runtime import tensorflow_graphs

    keras.ops.ones(1)
    monkeypatch.setattr(_loading, "_GPUS", ())
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    assert "TensorFlow was used before" in tensorflow_graphs._obstacle_to_xla_files()
    assert "TF_XLA_FLAGS" not in os.environ
    monkeypatch.setattr(_loading, "_GPUS", (os.devnull,))
    assert "has a GPU" in tensorflow_graphs._obstacle_to_xla_files()
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_max_cluster_size=10")
    assert tensorflow_graphs._obstacle_to_xla_files() == "TF_XLA_FLAGS is set"
    monkeypatch.setenv("KERASHP_CACHE", "off")
    assert tensorflow_graphs._obstacle_to_xla_files() == "KERASHP_CACHE=off"


@pytest.mark.usefixtures("folder")
def test_costs_are_measured_once_a_folder(monkeypatch) -> None:
    monkeypatch.setattr(_costs, "_probed", lambda: Costs(0.1, 0.2, 0.3, 0.4, 0.5))
    _costs.measured.cache_clear()
    assert measured() == Costs(0.1, 0.2, 0.3, 0.4, 0.5)
    monkeypatch.setattr(_costs, "_probed", lambda: Costs(1, 1, 1, 1, 1))
    _costs.measured.cache_clear()
    assert measured() == Costs(0.1, 0.2, 0.3, 0.4, 0.5)
    clear_cache(disk=True)
    _costs.measured.cache_clear()
    assert measured() == Costs(1, 1, 1, 1, 1)
    _costs.measured.cache_clear()


# Other processes: what XLA compiles is kept from TensorFlow's first operation on, if at all.

_CODE = """
import hashlib, json, os, sys, warnings
before = os.environ.get("TF_XLA_FLAGS")
if "tensorflow first" in sys.argv:
    import tensorflow as tf
    tf.constant(1) + 1
import keras
import numpy as np
from kerashp import build_model
from kerashp.training import Population, Member, clear_cache
from kerashp.training._engine.preparation import preparation_so_far
from kerashp.training._keras import modes
assert os.environ.get("TF_XLA_FLAGS") == before
modes._KEPT_PAYS_FROM = modes._PAYS_FROM = 0
for _ in range(int(sys.argv[1])):
    keras.layers.Dense(1)
rng = np.random.default_rng(0)
x = rng.normal(size=(64, 3)).astype("float32")
y = x.sum(axis=1, keepdims=True)
keras.utils.set_random_seed(0)
models = [build_model(1, width, input_shape=3) for width in (3, 4, 5)]
members = [Member(model, random_state=0) for model in models]
population = Population(members, x, y, batch_size=16)
population.train(epochs=3)
for index in range(len(models)):
    population.write(index)
digest = hashlib.sha256()
for model in models:
    for weight in model.get_weights():
        digest.update(weight.tobytes())
total = preparation_so_far()
print(json.dumps([digest.hexdigest(), total.traced, total.compiled, total.loaded]))
"""


def _run(folder: Path, *arguments: str, **environment: str) -> tuple[str, tuple[int, ...]]:
    """The digest of a population's weights, and the numbers of functions traced, compiled and loaded."""
    result = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", _CODE, *(arguments or ("0",))],
        env={**os.environ, "KERASHP_CACHE": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert "machine feature" not in result.stderr  # XLA's complaint of what another machine has compiled
    digest, *counts = json.loads(result.stdout.splitlines()[-1])
    return digest, tuple(counts)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    """A folder that a process has filled, the digest of its weights, and the number of functions."""
    folder = tmp_path_factory.mktemp("filled") / "cache"
    digest, (traced, compiled, loaded) = _run(folder)
    assert traced >= 1
    assert compiled >= 1
    assert loaded == 0
    assert len(list(folder.iterdir())) == traced
    return folder, digest, traced


@pytest.mark.slow
@on_tensorflow
@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_neither_traces_nor_compiles(filled, seed: str) -> None:
    folder, digest, n_functions = filled
    environment = {"PYTHONHASHSEED": seed, "TF_CPP_MIN_LOG_LEVEL": "0"}
    assert _run(folder, seed, **environment) == (digest, (0, 0, n_functions))


@pytest.mark.slow
@on_tensorflow
def test_where_xla_has_begun_or_the_user_has_set_its_flags_only_traces_are_kept(filled, tmp_path) -> None:
    folder, digest, n_functions = filled
    found, (traced, compiled, loaded) = _run(folder, "0", "tensorflow first")
    assert (found, traced, loaded) == (digest, 0, n_functions)
    assert compiled >= 1
    flags = {"TF_XLA_FLAGS": "--tf_xla_max_cluster_size=100"}
    assert _run(tmp_path, **flags)[1][0] == n_functions
    assert _run(tmp_path, **flags) == (digest, (0, compiled, n_functions))
    assert _run(folder) == (digest, (0, 0, n_functions))  # which they have not changed


@pytest.mark.slow
@on_tensorflow
def test_processes_may_fill_one_folder_at_once(filled, tmp_path: Path) -> None:
    _, digest, n_functions = filled
    with ThreadPoolExecutor() as pool:
        for found, counts in pool.map(lambda _: _run(tmp_path / "cache"), range(3)):
            assert found == digest
            assert counts[0] + counts[2] == n_functions
    assert _run(tmp_path / "cache") == (digest, (0, 0, n_functions))


@pytest.mark.slow
@on_tensorflow
def test_damaged_compiled_code_is_compiled_again(filled, tmp_path: Path) -> None:
    folder, digest, n_functions = filled
    damaged = Path(shutil.copytree(folder, tmp_path / "cache"))
    for path in damaged.iterdir():
        _as_kept(lambda content: content[:-3000] + bytes(3000) if len(content) > 50_000 else content)(path)
    assert _run(damaged)[0] == digest
    assert _run(damaged)[0] == digest
    assert _run(damaged) == (digest, (0, 0, n_functions))


# JAX: what it compiles one by one, such as Keras' initializers, is kept by its own cache, in our folder.

_JAX_CODE = """
import os, sys
import jax
if "user" in sys.argv:
    jax.config.update("jax_compilation_cache_dir", sys.argv[2])
import kerashp.training
if "later" in sys.argv:
    jax.config.update("jax_compilation_cache_dir", sys.argv[2])
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
print(float(jax.jit(lambda x: 2 * x)(1.5)), jax.config.jax_compilation_cache_dir)
"""


def _run_jax(folder: Path | str, *arguments: str) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", _JAX_CODE, *arguments],
        env={**os.environ, "KERAS_BACKEND": "jax", "KERASHP_CACHE": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout.split()


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("jax"), reason="needs JAX")
def test_jax_keeps_what_it_compiles_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert _run_jax(folder)[0] == "3.0"
    (path,) = folder.iterdir()
    written = path.stat().st_mtime_ns
    content = path.read_bytes()
    os.utime(path, (0, 0))
    assert _run_jax(folder)[0] == "3.0"
    assert path.stat().st_mtime_ns > written  # it was used,
    assert path.read_bytes() == content  # and not written again
    path.write_bytes(content[:-1])
    assert _run_jax(folder)[0] == "3.0"
    assert len(path.read_bytes()) >= len(content)


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("jax"), reason="needs JAX")
@pytest.mark.parametrize("moment", ["user", "later"])
def test_a_folder_that_the_user_gives_jax_is_respected(tmp_path: Path, moment: str) -> None:
    assert _run_jax(tmp_path / "cache", moment, str(tmp_path / "own")) == ["3.0", str(tmp_path / "own")]
    assert not (tmp_path / "cache").exists()
    assert moment == "user" or list((tmp_path / "own").iterdir())


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("jax"), reason="needs JAX")
def test_turned_off_jax_keeps_nothing() -> None:
    assert _run_jax("off") == ["3.0", "None"]


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("jax"), reason="needs JAX")
def test_on_jax_another_process_neither_traces_nor_compiles(tmp_path: Path) -> None:
    digest, (n_functions, compiled, loaded) = _run(tmp_path, KERAS_BACKEND="jax")
    assert compiled == n_functions
    assert loaded == 0
    assert _run(tmp_path, "2", KERAS_BACKEND="jax", TF_CPP_MIN_LOG_LEVEL="0") == (digest, (0, 0, n_functions))
