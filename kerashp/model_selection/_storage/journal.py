"""Results and states of a search in a folder, as they come: a journal."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

from kerashp.model_selection._fits.heldout_predictions import HeldoutPredictions
from kerashp.model_selection._fits.result import FitId, FitResult
from kerashp.model_selection._fits.seeds import new_seed
from kerashp.model_selection._fits.task import Resource, Task
from kerashp.model_selection._planning.fingerprint import round_fingerprints, search_fingerprints
from kerashp.model_selection._planning.plan import Plan
from kerashp.model_selection._storage.entries import (
    fit_of_key,
    key_of_fit,
    plan_of_record,
    record_of_result,
    result_of_record,
    state_of_record,
)
from kerashp.model_selection._storage.memory import MemoryStorage, results_of_fits
from kerashp.model_selection._storage.protocol import Storage
from kerashp.model_selection._storage.records import Records, RecordsError, connected
from kerashp.training import Paused

# Rises with what records hold, and with modules of kerashp that move: fingerprints contain their names.
_FORMAT = 5


class JournalError(Exception):
    """A journal that cannot be used: of another search, in use, damaged, or not writable.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from kerashp import KerasMLPRegressor
    >>> from kerashp.model_selection import GridSearchCV, JournalError
    >>> X = np.random.default_rng(0).normal(size=(40, 3))
    >>> mlp, grid = KerasMLPRegressor(1, 4, epochs=2, tol=None, random_state=0), {"learning_rate": [0.01]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = GridSearchCV(mlp, grid, cv=2, journal=folder).fit(X, X[:, 0])
    ...     try:
    ...         GridSearchCV(mlp, grid, cv=4, journal=folder).fit(X, X[:, 0])
    ...     except JournalError:
    ...         print("another search")
    another search
    """


class Journal:
    """A `SearchStorage` in a folder, from which the same search continues after it was ended.

    Parameters
    ----------
    folder : str or path
        It is created if it does not exist.
    every : float
        Seconds between two states of a group in training.
    keeps_finished : bool, default=False
        Whether the states of finished fits are kept, for other fits to continue from.

    Raises
    ------
    JournalError
        If another process uses the folder, or its contents are damaged.
    """

    keeps_states = True
    states: Mapping[FitId, Paused] = MappingProxyType({})  # all of them are in the folder

    def __init__(self, folder: Any, every: float, keeps_finished: bool = False):
        if not os.fspath(folder):
            raise ValueError("journal must be the path of a folder; got ''")
        self._folder = Path(os.fspath(folder))
        self.every = every
        self.keeps_finished = keeps_finished
        self._fingerprints: dict[str, str] = {}  # of the search, once its first tasks are known
        self._listeners: list[Callable[[FitId], None]] = []

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"{self._folder} cannot be the folder of a journal: {error}") from error
        self._lock = _locked(self._folder)
        try:
            self._records = Records(self._folder / "journal.sqlite")
        except RecordsError as error:
            self._lock.close()
            raise JournalError(str(error)) from error
        try:
            self.seed = self._recorded_seed()
            self.search_id = self._recorded_id()
            with self._records.understood("result"):
                records = self._records.all("result").items()
                self.results = {fit_of_key(key): result_of_record(record) for key, record in records}
        except BaseException as error:
            self._records.close()
            self._lock.close()
            if isinstance(error, RecordsError):
                raise JournalError(str(error)) from error
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._records.close()
        self._lock.close()
        if isinstance(error, RecordsError):
            raise JournalError(str(error)) from error

    def check(self, tasks: Sequence[Task], resource: Resource | None) -> None:
        """Refuse the tasks of another search, with the names of what differs.

        Raises
        ------
        JournalError
        """
        self._fingerprints = self._fingerprints or search_fingerprints(tasks, resource)
        fingerprints, key = self._fingerprints | round_fingerprints(tasks), _round_key(tasks)
        recorded = self._records.get("search", key)
        if recorded is None:
            if any(task.fit_id in self.results for task in tasks):
                raise self._records.damaged(f": it has results, but no record search {key}")
            self._records.put("search", {key: fingerprints})
            return
        with self._records.understood("search"):
            differing = [name for name in fingerprints if fingerprints[name] != recorded.get(name)]
        if differing:
            names = "; ".join(
                _differing_entry(name, recorded.get(name), fingerprints[name]) for name in differing
            )
            raise JournalError(
                f"{self._folder} is the journal of another search, which differs in: {names}. Call the same "
                "search, or pass another folder; nothing has been changed"
            )

    def plan(self, tasks: Sequence[Task]) -> Plan | None:
        record = self._records.get("plan", _round_key(tasks))
        if record is None:
            return None
        with self._records.understood("plan"):
            return plan_of_record(record, [task.fit_id for task in tasks])

    def keep_plan(self, tasks: Sequence[Task], plan: Plan) -> None:
        self._records.put("plan", {_round_key(tasks): asdict(plan)})

    def limit_predictions(self, refit: Any) -> None:
        """Keep in memory the predictions of the best candidates only; the folder has all of them."""
        self.call_after_results(HeldoutPredictions(refit, self.results).add)

    def call_after_results(self, listener: Callable[[FitId], None]) -> None:
        self._listeners.append(listener)

    def keep_result(self, fit: FitId, result: FitResult) -> None:
        self._records.put("result", {key_of_fit(fit): record_of_result(result)})
        self.results[fit] = result
        for listener in self._listeners:
            listener(fit)

    def state(self, fit: FitId) -> Paused | None:
        return _state(self._records, fit)

    def keep_states(self, states: Mapping[FitId, Paused]) -> None:
        _keep_states(self._records, states)

    def forget_states(self, fits: Iterable[FitId]) -> None:
        self._records.remove("state", map(key_of_fit, fits))

    def for_worker(self, fits: Iterable[FitId], on_this_machine: bool) -> Storage:
        """This journal; on another machine, a storage in the worker's memory."""
        results = results_of_fits(self.results, fits)
        if on_this_machine:
            return WorkerJournal(self._records, self.every, self.seed, results)
        return MemoryStorage(self.keeps_finished, self.seed, keeps_stopped=True, results=results)

    def _recorded_seed(self) -> int:
        """The seed of the journal, which is written if the journal is new."""
        record = self._records.get("journal", "journal")
        if record is None:
            if not self._records.is_empty():
                raise self._records.damaged(": it has records, but no record journal")
            record = {"format": _FORMAT, "seed": new_seed()}
            self._records.put("journal", {"journal": record, "search_id": uuid4().hex})
        with self._records.understood("journal"):
            number, seed = record["format"], int(record["seed"])
        if number != _FORMAT:
            raise JournalError(
                f"{self._folder} holds a journal of format {number}, but this version of kerashp reads and "
                f"writes format {_FORMAT}. Continue the search with the version that began it, or pass "
                "another folder; nothing has been changed"
            )
        return seed

    def _recorded_id(self) -> str:
        """The search's id, which is written here if the journal is of a version that wrote none."""
        record = self._records.get("journal", "search_id")
        if record is None:
            record = uuid4().hex
            self._records.put("journal", {"search_id": record})
        with self._records.understood("journal"):
            return UUID(hex=record).hex


class WorkerJournal:
    """The `Storage` of a worker on the same machine: states are in the journal, results go to the search.

    Parameters
    ----------
    records : Records
        Those of the journal.
    every : float
    seed : int
    results : dict from (candidate, split) to FitResult
        The results of the worker's fits that are finished already.
    """

    keeps_states = keeps_finished = True  # the search removes states, once it has the results
    states: Mapping[FitId, Paused] = MappingProxyType({})  # all of them are in the journal

    def __init__(self, records: Records, every: float, seed: int, results: dict[FitId, FitResult]):
        self._records = records
        self.seed = seed
        self.every = every
        self.results = results

    def keep_result(self, fit: FitId, result: FitResult) -> None:
        """Keep it in memory, for the search, which writes it."""
        self.results[fit] = result

    def state(self, fit: FitId) -> Paused | None:
        return _state(self._records, fit)

    def keep_states(self, states: Mapping[FitId, Paused]) -> None:
        _keep_states(self._records, states)

    def forget_states(self, fits: Iterable[FitId]) -> None:
        self._records.remove("state", map(key_of_fit, fits))


def _locked(folder: Path) -> sqlite3.Connection:
    """A lock on the folder, which ends with this process, however it ends."""
    path = folder / "lock.sqlite"
    try:
        lock = connected(path, timeout=0)
    except (OSError, ValueError, sqlite3.Error) as error:
        raise JournalError(f"{path} cannot be created: {error}") from error
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as error:
        lock.close()
        if "locked" not in str(error):
            raise JournalError(f"{path} cannot be locked: {error}") from error
        raise JournalError(
            f"{folder} is in use by another search. Wait for it to end, or pass another folder"
        ) from error
    return lock


def _state(records: Records, fit: FitId) -> Paused | None:
    record = records.get("state", key_of_fit(fit))
    with records.understood("state"):
        return None if record is None else state_of_record(record)


def _keep_states(records: Records, states: Mapping[FitId, Paused]) -> None:
    records.put("state", {key_of_fit(fit): vars(paused) for fit, paused in states.items()})


def _round_key(tasks: Sequence[Task]) -> str:
    """The first candidate of the tasks, which are those of one call that evaluates candidates."""
    return str(min(task.candidate for task in tasks))


def _differing_entry(name: str, recorded: Any, fingerprint: str) -> str:
    return f"{name} ({recorded} then, {fingerprint} now)" if name == "the versions" else name
