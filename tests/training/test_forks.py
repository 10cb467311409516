"""Processes that are forked: one that would hang says so; one that would not trains."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """
import os

import numpy as np
from kerashp import KerasMLPRegressor, build_model, fit
from kerashp.model_selection import GridSearchCV
from kerashp.training import Member, Population

X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
y = X[:, 0]


def in_fork(function):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = f"trained {function()}"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        print(answer.read(), flush=True)
    os.waitpid(child, 0)


def trained():
    return len(KerasMLPRegressor(epochs=2).fit(X, y).history_["loss"])


in_fork(trained)
before = KerasMLPRegressor(epochs=1).fit(X, y)
model = build_model(1, 3, input_shape=4)
population = Population([Member(model)], X, y)
search = GridSearchCV(KerasMLPRegressor(epochs=1), {"n_neurons": [2]}, cv=2)
in_fork(trained)
in_fork(lambda: before.predict(X))
in_fork(lambda: fit(model, X, y))
in_fork(lambda: Population([Member(model)], X, y))
in_fork(lambda: population.train(1))
in_fork(lambda: search.fit(X, y))
in_fork(lambda: in_fork(trained))
print(f"the parent trained {trained()}")
"""


@pytest.mark.slow
def test_a_fork_after_the_first_use_says_spawn_instead_of_hanging() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    first, *others, last = done.stdout.splitlines()
    assert first == "trained 2", done.stderr
    assert len(others) == 8
    refused = [line for line in others if not line.startswith("trained None")]
    assert len(refused) == 7
    for line in refused:
        assert line.startswith("RuntimeError: kerashp cannot compute in process ")
        assert "forked after its parent had used TensorFlow or JAX" in line
        assert "multiprocessing.set_start_method('spawn')" in line
    assert last == "the parent trained 2"
