"""A search's journal: its results as they come, and the states of what trains, in a folder."""

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kerashp.model_selection._fits.heldout_predictions import HeldoutPredictions
from kerashp.model_selection._fits.result import FitId, FitResult
from kerashp.model_selection._fits.seeds import new_seed
from kerashp.model_selection._fits.task import Resource, Task
from kerashp.model_selection._planning.fingerprint import of_round, of_search
from kerashp.model_selection._planning.plan import Plan
from kerashp.model_selection._storage.entries import (
    fit_of,
    key_of,
    plan_of,
    record_of_result,
    result_of,
    state_of,
)
from kerashp.model_selection._storage.memory import Unwritten, results_of
from kerashp.model_selection._storage.records import Records, RecordsError, connected
from kerashp.training import Paused

# Rises with what records hold, and with modules of kerashp that move: digests contain their names.
_FORMAT = 4


class JournalError(Exception):
    """A journal that cannot be used: of another search, in use, damaged, or not to be written."""


class Journal:
    """Keeps a search in a folder, so that the same search goes on where it was.

    Parameters
    ----------
    folder : str or path
        Made if it is not there.
    every : float
        Seconds between two states of a group in training.
    keeps_finished : bool, default=False
        Whether the states of finished fits are kept: something may go on from them.

    Attributes
    ----------
    seed : int
        What nobody has given a seed gets its own from this one.
    results : dict from (candidate, split) to dict
        Of the fits that are finished.

    Raises
    ------
    JournalError
        If another process uses the folder, or what is in it is damaged.
    """

    keeps = True
    library: HeldoutPredictions | None = None  # decides of which results predictions are kept in memory

    def __init__(self, folder: Any, every: float, keeps_finished: bool = False):
        if not os.fspath(folder):
            raise ValueError("journal must be the path of a folder; got ''")
        self._folder = Path(os.fspath(folder))
        self.every = every
        self.keeps_finished = keeps_finished
        self._told: dict[str, str] = {}  # of the search, once it is known

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"{self._folder} cannot be a journal's folder: {error}") from error
        self._lock = _locked(self._folder)
        try:
            self._records = Records(self._folder / "journal.sqlite")
        except RecordsError as error:
            self._lock.close()
            raise JournalError(str(error)) from error
        try:
            self.seed = self._begun()
            with self._records.understood("result"):
                kept = self._records.all("result").items()
                self.results = {fit_of(key): result_of(result) for key, result in kept}
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
        """Refuse the tasks of another search, by what differs.

        Raises
        ------
        JournalError
        """
        self._told = self._told or of_search(tasks, resource)
        told, key = self._told | of_round(tasks), _round(tasks)
        kept = self._records.get("search", key)
        if kept is None:
            if any(task.place in self.results for task in tasks):
                raise self._records.damaged(f": it has results, but no record search {key}")
            self._records.put("search", {key: told})
            return
        with self._records.understood("search"):
            differing = [name for name in told if told[name] != kept.get(name)]
        if differing:
            both = "; ".join(_both(name, kept.get(name), told[name]) for name in differing)
            raise JournalError(
                f"{self._folder} is the journal of another search, in which these were other than here: "
                f"{both}. Call the same search, or give this one its own folder; nothing has been changed"
            )

    def plan(self, tasks: Sequence[Task]) -> Plan | None:
        """The plan by which these tasks began to train, if they did."""
        kept = self._records.get("plan", _round(tasks))
        if kept is None:
            return None
        with self._records.understood("plan"):
            return plan_of(kept, [task.place for task in tasks])

    def keep_plan(self, tasks: Sequence[Task], plan: Plan) -> None:
        """Keep it."""
        self._records.put("plan", {_round(tasks): asdict(plan)})

    def keep_result(self, fit: FitId, result: FitResult) -> None:
        """A fit is finished."""
        self._records.put("result", {key_of(fit): record_of_result(result)})
        self.results[fit] = result
        if self.library is not None:
            self.library.add(fit)

    def state(self, fit: FitId) -> Paused | None:
        """How far a fit has come."""
        return _state(self._records, fit)

    def keep_states(self, states: Mapping[FitId, Paused]) -> None:
        """Fits in training have come so far."""
        _keep_states(self._records, states)

    def forget_states(self, fits: Iterable[FitId]) -> None:
        """Nothing will go on from these."""
        self._records.remove("state", map(key_of, fits))

    def elsewhere(self, fits: Iterable[FitId], on_this_machine: bool) -> Any:
        """What another process keeps these fits in: this journal; on another machine, its own memory."""
        results = results_of(self.results, fits)
        if on_this_machine:
            return WorkerJournal(self._records, self.every, self.seed, results)
        return Unwritten(self.keeps_finished, self.seed, keeps_stopped=True, results=results)

    def _begun(self) -> int:
        kept = self._records.get("journal", "journal")
        if kept is None:
            if not self._records.is_empty():
                raise self._records.damaged(": it has records, but no record journal")
            kept = {"format": _FORMAT, "seed": new_seed()}
            self._records.put("journal", {"journal": kept})
        with self._records.understood("journal"):
            found, seed = kept["format"], int(kept["seed"])
        if found != _FORMAT:
            raise JournalError(
                f"{self._folder} holds a journal of format {found}, but this version of kerashp reads and "
                f"writes format {_FORMAT}. Continue the search with the version that began it, or pass "
                "another folder; nothing has been changed"
            )
        return seed


class WorkerJournal:
    """A journal as a worker on the same machine has it: to keep states in, and to go on from them."""

    keeps = keeps_finished = True  # the client forgets, when it has the results

    def __init__(self, records: Records, every: float, seed: int, results: dict[FitId, FitResult]):
        self._records = records
        self.seed = seed
        self.every = every
        self.results = results
        self.states: dict[FitId, Paused] = {}  # none to be sent back: they are in the journal

    def keep_result(self, fit: FitId, result: FitResult) -> None:
        """The client writes it."""
        self.results[fit] = result

    def state(self, fit: FitId) -> Paused | None:
        return _state(self._records, fit)

    def keep_states(self, states: Mapping[FitId, Paused]) -> None:
        _keep_states(self._records, states)


def _locked(folder: Path) -> sqlite3.Connection:
    """A lock that ends with this process, however it ends."""
    path = folder / "lock.sqlite"
    try:
        lock = connected(path, timeout=0)
    except (OSError, ValueError, sqlite3.Error) as error:
        raise JournalError(f"{path} cannot be made: {error}") from error
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as error:
        lock.close()
        if "locked" not in str(error):
            raise JournalError(f"{path} cannot be locked: {error}") from error
        raise JournalError(
            f"{folder} is in use by another search. Wait for it to end, or give this one a folder of its own"
        ) from error
    return lock


def _state(records: Records, fit: FitId) -> Paused | None:
    kept = records.get("state", key_of(fit))
    with records.understood("state"):
        return None if kept is None else state_of(kept)


def _keep_states(records: Records, states: Mapping[FitId, Paused]) -> None:
    records.put("state", {key_of(fit): vars(paused) for fit, paused in states.items()})


def _round(tasks: Sequence[Task]) -> str:
    """The first candidate of the tasks, which are those of one call of a search's for candidates."""
    return str(min(task.candidate for task in tasks))


def _both(name: str, kept: Any, told: str) -> str:
    return f"{name} ({kept} then, {told} now)" if name == "the versions" else name
