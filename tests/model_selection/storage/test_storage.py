"""The contract of all that keeps results and states: memory, a journal, and a journal as a worker has it."""

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from kerashp.model_selection._fits.result import FitResult
from kerashp.model_selection._storage.journal import Journal, WorkerJournal
from kerashp.model_selection._storage.memory import MemoryStorage
from kerashp.model_selection._storage.protocol import SearchStorage, Storage
from kerashp.training import Paused

FIRST, SECOND = (0, 0), (0, 1)


def result(score: float = 0.5) -> FitResult:
    return FitResult(score, test_rows=np.arange(3), predictions=np.ones(3), history={"loss": [1.0]})


def paused(n_epochs: int) -> Paused:
    order = np.random.RandomState(0).get_state(legacy=False)
    return Paused(history={"loss": [0.5] * n_epochs}, values=[[np.arange(4.0)]], best=None, order=order)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal", every=60.0, keeps_finished=True) as journal:
        yield journal


@pytest.fixture(params=["memory", "journal", "worker of a journal"])
def storage(request: pytest.FixtureRequest, journal: Journal) -> Storage:
    storages: dict[str, Callable[[], Storage]] = {
        "memory": lambda: MemoryStorage(keeps_finished=True, seed=3),
        "journal": lambda: journal,
        "worker of a journal": lambda: journal.for_worker([FIRST, SECOND], on_this_machine=True),
    }
    return storages[request.param]()


@pytest.fixture(params=["memory", "journal"])
def search_storage(request: pytest.FixtureRequest, journal: Journal) -> SearchStorage:
    return journal if request.param == "journal" else MemoryStorage(keeps_finished=True, seed=3)


def test_it_says_what_it_keeps(storage: Storage) -> None:
    assert isinstance(storage.seed, int)
    assert storage.every > 0
    assert storage.keeps_states
    assert storage.keeps_finished
    assert storage.results == {}
    assert dict(storage.states) == {}


def test_results_are_kept(storage: Storage) -> None:
    storage.keep_result(FIRST, result(0.5))
    storage.keep_result(SECOND, result(0.25))
    assert {fit: kept.test_scores for fit, kept in storage.results.items()} == {FIRST: 0.5, SECOND: 0.25}


def test_states_are_kept_replaced_and_forgotten(storage: Storage) -> None:
    assert storage.state(FIRST) is None
    storage.keep_states({FIRST: paused(1), SECOND: paused(1)})
    storage.keep_states({FIRST: paused(2)})
    for fit, n_epochs in ((FIRST, 2), (SECOND, 1)):
        state = storage.state(fit)
        assert state is not None
        assert state.n_epochs == n_epochs
        np.testing.assert_array_equal(state.values[0][0], np.arange(4.0))
    storage.forget_states([FIRST, (7, 7)])  # one of them is not there
    assert storage.state(FIRST) is None
    assert storage.state(SECOND) is not None


def test_states_are_sent_back_where_no_file_has_them(storage: Storage) -> None:
    storage.keep_states({FIRST: paused(1)})
    assert list(storage.states) == ([FIRST] if isinstance(storage, MemoryStorage) else [])


@pytest.mark.parametrize("on_this_machine", [True, False])
def test_a_workers_storage_survives_pickling(search_storage: SearchStorage, on_this_machine: bool) -> None:
    search_storage.keep_result(FIRST, result())
    search_storage.keep_result((1, 0), result())
    worker: Storage = pickle.loads(pickle.dumps(search_storage.for_worker([FIRST, SECOND], on_this_machine)))
    assert list(worker.results) == [FIRST]
    assert worker.seed == search_storage.seed
    worker.keep_result(SECOND, result())
    assert SECOND not in search_storage.results
    worker.keep_states({SECOND: paused(3)})
    is_shared = isinstance(search_storage, Journal) and on_this_machine
    assert isinstance(worker, WorkerJournal if is_shared else MemoryStorage)
    assert (search_storage.state(SECOND) is not None) == is_shared
    assert list(worker.states) == ([] if is_shared else [SECOND])


def test_predictions_of_the_best_candidates_stay(
    search_storage: SearchStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kerashp.model_selection._fits.heldout_predictions.MOST_CANDIDATES", 1)
    search_storage.limit_predictions(refit=True)
    for candidate, score in enumerate((0.1, 0.9, 0.5)):
        search_storage.keep_result((candidate, 0), result(score))
    kept = [fit for fit, kept in search_storage.results.items() if kept.predictions is not None]
    assert kept == [(1, 0)]


def test_a_journal_opens_with_what_it_kept(tmp_path: Path) -> None:
    for opening in range(2):
        with Journal(tmp_path, every=0.0) as journal:
            if opening == 0:
                journal.keep_result(FIRST, result(0.125))
                journal.keep_states({SECOND: paused(1)})
                seed = journal.seed
            assert journal.results[FIRST].test_scores == 0.125
            assert journal.results[FIRST].history == {"loss": [1.0]}
            assert journal.state(SECOND) is not None
            assert journal.seed == seed
