"""Records in a file that a kill or a full disk leaves whole: SQLite, and a digest with each record."""

import hashlib
import io
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from kerashp._archives import read_arrays, write_arrays
from kerashp._arguments import shown
from kerashp._files import regular_file, written_beside

_TABLE = """CREATE TABLE records (
    kind TEXT NOT NULL, key TEXT NOT NULL, content BLOB NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (kind, key)
)"""
_SCHEMA = [("table", "records", _TABLE), ("index", "sqlite_autoindex_records_1", None)]
_NAMES_A_FILE = bytes.fromhex("d9d505f920a163d7")  # ends an SQLite journal of several databases
_WAIT = 60.0  # seconds, for another process to end its writing
_OF_THE_DISK = ("full", "I/O", "readonly", "unable to open", "locked")  # in the words of SQLite's errors
_ARRAY, _OF = "an array", "of"


class RecordsError(Exception):
    """A file of records that cannot be read or written, with what to do."""


class Records:
    """A file of records by kind and key; each holds numbers, strings, lists, dicts and arrays.

    Parameters
    ----------
    path : Path
        Made where there is none, with no record. Several processes may have it open.
    """

    def __init__(self, path: Path):
        self._path = path
        self._lock = threading.Lock()  # a connection is one thread's at a time
        try:
            if not path.exists():
                with written_beside(path, _make):
                    pass
            self._connection = connected(path, _WAIT)
        except (OSError, ValueError, sqlite3.Error) as error:
            raise RecordsError(f"{path} cannot be created or opened: {error}") from error
        try:
            with self._at_work() as connection:
                connection.execute("PRAGMA synchronous = FULL")
                found = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
            if found != _SCHEMA:
                raise self.damaged(f" or no journal of kerashp's: it holds {shown(found)}")
        except BaseException:
            self.close()
            raise

    def __reduce__(self) -> Any:
        return Records, (self._path,)

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._connection.close()

    def put(self, kind: str, contents: Mapping[str, Any]) -> None:
        """Write records by key, all or none of them; those of equal keys are replaced."""
        rows = [(kind, key, one, _digest(kind, key, one)) for key, one in _packed_all(contents)]
        with self._at_work() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", rows)
            connection.execute("COMMIT")

    def get(self, kind: str, key: str) -> Any:
        """What a record holds; None where there is none."""
        query = "SELECT key, content, digest FROM records WHERE kind = ? AND key = ?"
        return self._read(kind, query, (kind, key)).get(key)

    def all(self, kind: str) -> dict[str, Any]:
        """What the records of a kind hold, by key."""
        return self._read(kind, "SELECT key, content, digest FROM records WHERE kind = ?", (kind,))

    def remove(self, kind: str, keys: Iterable[str]) -> None:
        """Remove records, where they are there."""
        with self._at_work() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "DELETE FROM records WHERE kind = ? AND key = ?", [(kind, k) for k in keys]
            )
            connection.execute("COMMIT")

    def is_empty(self) -> bool:
        """Whether there is no record."""
        with self._at_work() as connection:
            (number,) = connection.execute("SELECT COUNT(*) FROM records").fetchone()
        return int(number) == 0

    def damaged(self, what: str) -> RecordsError:
        """The error that says what is wrong with the file."""
        return RecordsError(
            f"{self._path} is damaged{what}. Take the file from a backup, or move it away to begin anew; "
            "nothing has been changed"
        )

    @contextmanager
    def understood(self, kind: str) -> Iterator[None]:
        """One error for whatever is wrong with what records of a kind hold."""
        try:
            yield
        except RecordsError:
            raise
        except Exception as error:
            raise self.damaged(
                f": a record {kind} is none that a search writes ({type(error).__name__}: {error})"
            ) from error

    def _read(self, kind: str, query: str, values: tuple[str, ...]) -> dict[str, Any]:
        with self._at_work() as connection:
            rows = connection.execute(query, values).fetchall()
        for key, content, digest in rows:
            whole = isinstance(key, str) and isinstance(content, bytes)
            if not whole or _digest(kind, key, content) != digest:
                raise self.damaged(f": the record {kind} {key} is not what was written")
        with self.understood(kind):
            return {key: unpacked(content) for key, content, _ in rows}

    @contextmanager
    def _at_work(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.ProgrammingError as error:
                raise RecordsError(f"{self._path} has been closed: {error}") from error
            except BaseException as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if not isinstance(error, sqlite3.DatabaseError):
                    raise
                if not any(words in str(error) for words in _OF_THE_DISK):
                    raise self.damaged(f" or no journal of kerashp's: {error}") from error
                raise RecordsError(
                    f"{self._path} could not be read or written: {error}. What was written before is whole; "
                    "make room on the disk, or see to the permissions, and call again"
                ) from error


def connected(path: Path, timeout: float) -> sqlite3.Connection:
    """A connection to a file of a folder that may be somebody else's.

    Raises
    ------
    OSError, ValueError, sqlite3.Error
        If it cannot be opened, leads out of its folder, or SQLite would delete another file.
    """
    regular_file(path.parent, path.name)
    rollback = regular_file(path.parent, f"{path.name}-journal")
    with suppress(FileNotFoundError), rollback.open("rb") as opened:  # a writer removes it at any moment
        opened.seek(max(0, opened.seek(0, os.SEEK_END) - len(_NAMES_A_FILE)))
        if opened.read() == _NAMES_A_FILE:
            raise ValueError(f"{rollback.name} names another file, which SQLite would delete")
    return sqlite3.connect(path, timeout=timeout, check_same_thread=False, isolation_level=None)


def _make(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(_TABLE)
    connection.commit()
    connection.close()


def _digest(kind: str, key: str, content: bytes) -> bytes:
    return hashlib.sha256(json.dumps([kind, key]).encode() + content).digest()


def _packed_all(contents: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    for key, content in contents.items():
        yield key, packed(content)


def packed(content: Any) -> bytes:
    """Nested numbers, strings, lists, dicts and arrays as bytes that run no code when they are read."""
    arrays: dict[str, np.ndarray] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            name = str(len(arrays))
            if value.dtype.kind == "V":  # bfloat16, of which NumPy's files know only the bytes
                arrays[name] = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
                return {_ARRAY: name, _OF: [value.dtype.name, list(value.shape)]}
            arrays[name] = value
            return {_ARRAY: name}
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, Mapping):
            return {key: plain(own) for key, own in value.items()}
        return [plain(own) for own in value] if isinstance(value, list | tuple) else value

    text = json.dumps(plain(content))
    opened = io.BytesIO()
    write_arrays(opened, {"text": np.array(text), **arrays})
    return opened.getvalue()


def unpacked(content: bytes) -> Any:
    """The inverse of `packed`, but for tuples, which become lists."""
    arrays = read_arrays(io.BytesIO(content))

    def with_arrays(value: Any) -> Any:
        if isinstance(value, dict):
            if _ARRAY in value:
                array = arrays[value[_ARRAY]]
                if _OF not in value:
                    return array
                name, shape = value[_OF]
                return array.view(np.dtype(name)).reshape(shape)
            return {key: with_arrays(own) for key, own in value.items()}
        return [with_arrays(own) for own in value] if isinstance(value, list) else value

    return with_arrays(json.loads(str(arrays["text"])))
