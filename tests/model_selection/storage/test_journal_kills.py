"""A search is killed at any moment, called again, and ends as if it had not been killed."""

import multiprocessing
import os
import runpy
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from kerashp.model_selection._running import local
from kerashp.model_selection._storage.journal import Journal
from kerashp.model_selection._storage.records import Records

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("kept_programs")]

_SEARCH = str(Path(__file__).with_name("search_to_kill.py"))
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["keras", "kerashp.estimators", "kerashp.model_selection"])
_KILLS, _IN_ONE, _WITH_WORKERS = 25, 10, 4
_NEVER = -1


@pytest.fixture(autouse=True)
def long_training() -> None:
    """Compile as the other processes do, which know nothing of the fixture of this name for all tests."""


@pytest.fixture(scope="module")
def search() -> dict[str, Any]:
    return runpy.run_path(_SEARCH)


@pytest.fixture(scope="module")
def seeded(search: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Any]:
    """A journal that has begun, with its seed, and the results of the search that goes on from it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    victim = Victim(folder, kill_at=2)
    victim.ended_by(-signal.SIGKILL)
    begun = (folder / "journal.sqlite").read_bytes()
    return begun, search["searched"](str(folder))


class Victim:
    """The search in a process of its own."""

    def __init__(self, folder: Path, kill_at: int = _NEVER, n_jobs: int | None = None):
        self._told, told = _PROCESSES.Pipe(duplex=False)
        names = {"folder": str(folder), "kill_at": kill_at, "told": told, "n_jobs": n_jobs}
        names["cache"] = os.environ["KERASHP_CACHE"]
        self._process = _PROCESSES.Process(target=runpy.run_path, args=(_SEARCH, names, "__run__"))
        self._process.start()
        told.close()

    def has_written(self, times: int) -> bool:
        """Wait until it begins to write so often; whether it has not ended before."""
        return all(self._told.recv() != "end" for _ in range(times))

    def kill(self) -> None:
        self._process.kill()
        self._process.join(60)

    def interrupt(self) -> None:
        """Ctrl-C, which a terminal sends to all processes that belong to it."""
        os.killpg(self._process.pid, signal.SIGINT)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self._process.pid).children(recursive=True)

    def ended(self) -> int | None:
        """Wait until it has ended; by which code."""
        self._process.join(120)
        return self._process.exitcode

    def ended_by(self, code: int) -> None:
        assert self.ended() == code


@pytest.fixture(scope="module")
def n_writes(seeded: Any, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How often a search writes, roughly: its groups train in threads."""
    folder = begun(seeded, tmp_path_factory.mktemp("counted"))
    victim, count = Victim(folder), 0
    while victim.has_written(1):
        count += 1
    victim.ended_by(0)
    assert count > 30
    return count


def begun(seeded: Any, folder: Path) -> Path:
    (folder / "journal.sqlite").write_bytes(seeded[0])
    return folder


def finished_fits(folder: Path) -> list[str]:
    """The keys of the fits that the journal has: the candidate's number, then the split's."""
    records = Records(folder / "journal.sqlite")
    fits = [*records.all("result")]
    records.close()
    return fits


def finished(folder: Path) -> int:
    """How many fits the journal has."""
    return len(finished_fits(folder))


def most_splits(folder: Path) -> int:
    """How many splits are finished of the candidate of which most are."""
    return max(Counter(fit.partition("/")[0] for fit in finished_fits(folder)).values(), default=0)


def check(search: Any, folder: Path, seeded: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """Search on here: results are those of a search not killed, and no finished fit is done again."""
    done, scored = finished(folder), local.scored
    calls: list[Any] = []
    monkeypatch.setattr(local, "scored", lambda *arguments: calls.append(arguments) or scored(*arguments))
    results = search["searched"](str(folder)).cv_results_
    monkeypatch.setattr(local, "scored", scored)
    assert len(calls) == search["N_CANDIDATES"] * search["N_SPLITS"] - done
    same(results, seeded[1].cv_results_)
    return done


def same(results: dict[str, Any], expected: dict[str, Any], **within: float) -> None:
    assert results.keys() == expected.keys()
    for name in results:
        if name.endswith("_time"):
            continue
        if name == "params":
            assert list(results[name]) == list(expected[name])
        elif within and results[name].dtype.kind == "f":
            np.testing.assert_allclose(results[name], expected[name], **within)
        else:
            np.testing.assert_array_equal(results[name], expected[name])


def test_killed_at_random_moments(
    search: Any, seeded: Any, n_writes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    went_on_with, inside = [], 0
    for kill, moment in enumerate(np.random.default_rng(0).uniform(0, n_writes, _KILLS)):
        folder = tmp_path / str(kill)
        folder.mkdir()
        begun(seeded, folder)
        if kill % 2:  # inside a write
            code = Victim(folder, kill_at=1 + int(moment)).ended()
            assert code in (-signal.SIGKILL, 0)  # 0: fewer writes than were counted
            inside += code != 0
        else:
            victim = Victim(folder)
            victim.has_written(1 + int(moment))
            time.sleep(moment % 1 / 100)
            victim.kill()
        went_on_with.append(check(search, folder, seeded, monkeypatch))
    assert inside >= _KILLS // 3
    assert len(set(went_on_with)) >= 4  # the moments were different ones


def test_killed_ten_times_in_one_search(
    search: Any, seeded: Any, n_writes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begun(seeded, tmp_path)
    done = []
    for kill in range(_IN_ONE):
        victim = Victim(folder)
        victim.has_written(2 + n_writes // _IN_ONE - kill % 3)
        victim.kill()
        done.append(finished(folder))
    assert done == sorted(done)
    assert done[0] < done[-1]
    check(search, folder, seeded, monkeypatch)


def test_killed_with_workers(
    search: Any, seeded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, moments = begun(seeded, tmp_path), np.random.default_rng(0)
    done: list[int] = []
    for kill in range(_WITH_WORKERS):
        victim = Victim(folder, n_jobs=2)
        assert victim.has_written(1)
        if kill % 2:  # at any moment
            time.sleep(moments.uniform(0, 0.2))
        else:  # when there is more than before
            while finished(folder) <= (done[-1] if done else 0) and victim.has_written(1):
                pass
        workers = victim.children()
        victim.kill()
        _, left = psutil.wait_procs(workers, timeout=30)
        assert len(workers) >= 2
        assert not left
        done.append(finished(folder))
    assert done == sorted(done)
    assert 0 < done[0] < done[2]
    keep, kept = Journal.keep_result, []
    monkeypatch.setattr(
        Journal, "keep_result", lambda self, fit, result: kept.append(fit) or keep(self, fit, result)
    )
    results = search["searched"](str(folder), 2).cv_results_
    assert len(kept) == len(set(kept)) == search["N_CANDIDATES"] * search["N_SPLITS"] - done[-1]
    same(results, seeded[1].cv_results_, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_ctrl_c_at_a_terminal(
    search: Any, seeded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_jobs: int | None
) -> None:
    folder = begun(seeded, tmp_path)
    victim = Victim(folder, n_jobs=n_jobs)
    while finished(folder) < search["N_SPLITS"] + 1 or most_splits(folder) < search["N_SPLITS"]:
        assert victim.has_written(1)
    victim.interrupt()
    victim.ended_by(0)
    assert finished(folder) < search["N_CANDIDATES"] * search["N_SPLITS"]
    if n_jobs is None:
        check(search, folder, seeded, monkeypatch)
