"""Records in a file that survives kills and full disks: SQLite, with a digest of each record."""

import hashlib
import io
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kerashp._archives import read_arrays, write_arrays
from kerashp._arguments import short_repr
from kerashp._files import atomic_write, regular_file

_TABLE = """CREATE TABLE records (
    kind TEXT NOT NULL, key TEXT NOT NULL, content BLOB NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (kind, key)
)"""
_SCHEMA = [("table", "records", _TABLE), ("index", "sqlite_autoindex_records_1", None)]
_MAGIC = bytes.fromhex("d9d505f920a163d7")  # the end of an SQLite journal that names another file
_TIMEOUT = 60.0  # seconds to wait until another process has written
_DISK_ERRORS = ("full", "I/O", "readonly", "unable to open", "locked")  # words of SQLite's messages
_ARRAY, _DTYPE = "an array", "of"

_Result = TypeVar("_Result")


class RecordsError(Exception):
    """A file of records cannot be read or written; the message says what to do."""


class Records:
    """A file of records by kind and key; each holds numbers, strings, lists, dicts and arrays.

    Parameters
    ----------
    path : Path
        It is created without records if it does not exist. Several processes may have it open.
    """

    def __init__(self, path: Path):
        self._path = path
        self._lock = threading.Lock()  # one thread at a time may use a connection
        try:
            if not path.exists():
                with atomic_write(path, _create):
                    pass
            self._connection = connected(path, _TIMEOUT)
        except (OSError, ValueError, sqlite3.Error) as error:
            raise RecordsError(f"{path} cannot be created or opened: {error}") from error
        try:
            self._query("PRAGMA synchronous = FULL")
            schema = self._query("SELECT type, name, sql FROM sqlite_master")
            if schema != _SCHEMA:
                raise self.damaged(f" or not a journal of kerashp: it holds {short_repr(schema)}")
        except BaseException:
            self.close()
            raise

    def __reduce__(self) -> Any:
        return Records, (self._path,)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def put(self, kind: str, contents: Mapping[str, Any]) -> None:
        """Write records by key, all of them or none; existing ones are replaced."""
        packed = ((key, to_bytes(content)) for key, content in contents.items())
        rows = [(kind, key, raw, _digest(kind, key, raw)) for key, raw in packed]
        self._change("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", rows)

    def get(self, kind: str, key: str) -> Any:
        """The content of a record; None if there is no record."""
        query = "SELECT key, content, digest FROM records WHERE kind = ? AND key = ?"
        return self._read(kind, query, (kind, key)).get(key)

    def all(self, kind: str) -> dict[str, Any]:
        """The contents of the records of a kind, by key."""
        return self._read(kind, "SELECT key, content, digest FROM records WHERE kind = ?", (kind,))

    def remove(self, kind: str, keys: Iterable[str]) -> None:
        """Remove records; missing ones are ignored."""
        self._change("DELETE FROM records WHERE kind = ? AND key = ?", [(kind, key) for key in keys])

    def is_empty(self) -> bool:
        """Whether the file has no records."""
        ((number,),) = self._query("SELECT COUNT(*) FROM records")
        return int(number) == 0

    def damaged(self, detail: str) -> RecordsError:
        """The error that says what is wrong with the file."""
        return RecordsError(
            f"{self._path} is damaged{detail}. Restore the file from a backup, or move it away to start "
            "anew; nothing has been changed"
        )

    @contextmanager
    def understood(self, kind: str) -> Iterator[None]:
        """Inside, any error in the contents of records of a kind is raised as a `RecordsError`."""
        try:
            yield
        except RecordsError:
            raise
        except Exception as error:
            raise self.damaged(
                f": a record {kind} has contents that no search writes ({type(error).__name__}: {error})"
            ) from error

    def _read(self, kind: str, query: str, values: tuple[str, ...]) -> dict[str, Any]:
        rows = self._query(query, values)
        for key, content, digest in rows:
            is_intact = isinstance(key, str) and isinstance(content, bytes)
            if not is_intact or _digest(kind, key, content) != digest:
                raise self.damaged(f": the record {kind} {key} has changed since it was written")
        with self.understood(kind):
            return {key: from_bytes(content) for key, content, _ in rows}

    def _query(self, query: str, values: Sequence[str] = ()) -> list[tuple[Any, ...]]:
        return self._safely(lambda connection: connection.execute(query, values).fetchall())

    def _change(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        def change(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, rows)
            connection.execute("COMMIT")

        self._safely(change)

    def _safely(self, use: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Use the connection. This is no context manager, which Ctrl-C might leave with the lock held."""
        with self._lock:
            try:
                return use(self._connection)
            except sqlite3.ProgrammingError as error:
                raise RecordsError(f"{self._path} has been closed: {error}") from error
            except BaseException as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if not isinstance(error, sqlite3.DatabaseError):
                    raise
                if not any(words in str(error) for words in _DISK_ERRORS):
                    raise self.damaged(f" or not a journal of kerashp: {error}") from error
                raise RecordsError(
                    f"{self._path} could not be read or written: {error}. Earlier records are intact; make "
                    "room on the disk, or change the permissions, and call again"
                ) from error


def connected(path: Path, timeout: float) -> sqlite3.Connection:
    """A connection to a file in a folder that may come from elsewhere.

    Raises
    ------
    OSError, ValueError, sqlite3.Error
        If the file cannot be opened or leads out of its folder, or if SQLite would delete another file.
    """
    regular_file(path.parent, path.name)
    rollback = regular_file(path.parent, f"{path.name}-journal")
    with suppress(FileNotFoundError), rollback.open("rb") as opened:  # a writer may remove it at any moment
        opened.seek(max(0, opened.seek(0, os.SEEK_END) - len(_MAGIC)))
        if opened.read() == _MAGIC:
            raise ValueError(f"{rollback.name} names another file, which SQLite would delete")
    return sqlite3.connect(path, timeout=timeout, check_same_thread=False, isolation_level=None)


def _create(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(_TABLE)
    connection.commit()
    connection.close()


def _digest(kind: str, key: str, content: bytes) -> bytes:
    return hashlib.sha256(json.dumps([kind, key]).encode() + content).digest()


def to_bytes(content: Any) -> bytes:
    """Nested numbers, strings, lists, dicts and arrays as bytes that run no code when they are read."""
    arrays: dict[str, np.ndarray] = {}

    def without_arrays(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            name = str(len(arrays))
            if value.dtype.kind == "V":  # bfloat16, of which NumPy's files have only the bytes
                arrays[name] = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
                return {_ARRAY: name, _DTYPE: [value.dtype.name, list(value.shape)]}
            arrays[name] = value
            return {_ARRAY: name}
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, Mapping):
            return {key: without_arrays(item) for key, item in value.items()}
        return [without_arrays(item) for item in value] if isinstance(value, list | tuple) else value

    text = json.dumps(without_arrays(content))
    opened = io.BytesIO()
    write_arrays(opened, {"text": np.array(text), **arrays})
    return opened.getvalue()


def from_bytes(content: bytes) -> Any:
    """The inverse of `to_bytes`, except that tuples become lists."""
    arrays = read_arrays(io.BytesIO(content))

    def with_arrays(value: Any) -> Any:
        if isinstance(value, dict):
            if _ARRAY in value:
                array = arrays[value[_ARRAY]]
                if _DTYPE not in value:
                    return array
                name, shape = value[_DTYPE]
                return array.view(np.dtype(name)).reshape(shape)
            return {key: with_arrays(item) for key, item in value.items()}
        return [with_arrays(item) for item in value] if isinstance(value, list) else value

    return with_arrays(json.loads(str(arrays["text"])))
