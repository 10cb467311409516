"""A training that is killed at any moment and resumed gives the results of an uninterrupted one."""

import multiprocessing
import os
import runpy
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("kept_programs")]

_TRAINING = str(Path(__file__).with_name("training_to_kill.py"))
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["keras", "kerashp.callbacks", "kerashp.models", "kerashp.training"])
_KILLS = 20
_NEVER = -1


@pytest.fixture(autouse=True)
def long_training() -> None:
    """Compile as the other processes do, which know nothing of the fixture of this name for all tests."""


@pytest.fixture(scope="module")
def train() -> Any:
    return runpy.run_path(_TRAINING)["train"]


@pytest.fixture(scope="module")
def undisturbed(train: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[np.ndarray], int]:
    model, stop_epoch, _ = train(str(tmp_path_factory.mktemp("undisturbed")))
    assert 10 < stop_epoch < 39  # early stopping has ended it
    return model.get_weights(), stop_epoch


class Victim:
    """A training in a separate process."""

    def __init__(self, folder: Path, kill_at: int = _NEVER):
        self._messages, sender = _PROCESSES.Pipe(duplex=False)
        names = {"folder": str(folder), "kill_at": kill_at, "sender": sender}
        names["cache"] = os.environ["KERASHP_CACHE"]
        self._process = _PROCESSES.Process(target=runpy.run_path, args=(_TRAINING, names, "__run__"))
        self._process.start()
        sender.close()

    def is_in(self, epoch: int) -> None:
        """Wait until that epoch begins."""
        for _ in range(epoch + 1):
            assert self._messages.recv() == "epoch"

    def kill(self) -> None:
        self._process.kill()
        self.ended_by(-signal.SIGKILL)

    def ended_by(self, code: int) -> None:
        self._process.join(60)
        assert self._process.exitcode == code

    def remaining_messages(self) -> list[Any]:
        """All further messages: one for each epoch, and the number of operations at the end."""
        messages = []
        while not messages or messages[-1] == "epoch":
            messages.append(self._messages.recv())
        return messages


@pytest.fixture(scope="module")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[float, int]:
    """The seconds of an epoch, and how many file operations a training has."""
    victim = Victim(tmp_path_factory.mktemp("counted"))
    victim.is_in(0)
    began = time.perf_counter()
    *epochs, operations = victim.remaining_messages()
    seconds = time.perf_counter() - began
    victim.ended_by(0)
    return seconds / (len(epochs) + 1), operations


def _check(train: Any, folder: Path, undisturbed: tuple[list[np.ndarray], int]) -> int:
    model, stop_epoch, first = train(str(folder))
    weights, expected = undisturbed
    assert stop_epoch == expected
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    return first


def test_killed_at_random_moments(
    train: Any, undisturbed: Any, one_run: tuple[float, int], tmp_path: Path
) -> None:
    began_with = []
    moments = np.random.default_rng(0).uniform(0, undisturbed[1], _KILLS)
    for kill, moment in enumerate(moments):
        folder = tmp_path / str(kill)
        folder.mkdir()
        victim = Victim(folder)
        victim.is_in(int(moment))
        time.sleep(moment % 1 * one_run[0])
        victim.kill()
        began_with.append(_check(train, folder, undisturbed))
    assert len(set(began_with)) > _KILLS / 4  # the moments were different ones


def test_killed_inside_a_write(
    train: Any, undisturbed: Any, one_run: tuple[float, int], tmp_path: Path
) -> None:
    began_with = []
    for kill, at in enumerate(np.linspace(1, one_run[1], _KILLS, dtype=int)):
        folder = tmp_path / str(kill)
        folder.mkdir()
        Victim(folder, int(at)).ended_by(-signal.SIGKILL)
        began_with.append(_check(train, folder, undisturbed))
    assert began_with == sorted(began_with)
    assert len(set(began_with)) > _KILLS / 2
