"""The list of the checkpoints of one training, and the errors of those that are damaged."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kerashp._arguments import shown
from kerashp._files import digest, read_json, regular_file, write_json

_FORMAT = 1
_MOST_EPOCHS = 2**31  # of any training; a later one would end it
_DIGEST = re.compile("[0-9a-f]{64}")


class CheckpointError(ValueError):
    """A checkpoint is damaged or is another model's; the message names its file and says what to do."""


@contextmanager
def damage(path: Path, remedy: str) -> Iterator[None]:
    """One error for whatever is wrong with a file; what it says of itself is kept as the cause."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{path} is damaged ({type(error).__name__}: {error}). {remedy}") from error


@dataclass(frozen=True)
class Record:
    """One checkpoint."""

    file: str  # its name in the manifest's folder
    digest: str
    epoch: int  # that it was saved after, counted from 0
    metrics: dict[str, float]
    is_best: bool  # of all so far
    best: float | None  # the best value so far
    replaces: str | None  # the digest of the file that was in its place
    placed: bool = False  # while its file is being moved to its place

    def __post_init__(self) -> None:
        """Refuse what no checkpoint has: a record may have been read from a file of somebody else's."""
        numbers = isinstance(self.metrics, dict) and all(map(_is_number, self.metrics.values()))
        kinds = {
            "file": isinstance(self.file, str),
            "digest": _is_digest(self.digest),
            "epoch": type(self.epoch) is int and 0 <= self.epoch < _MOST_EPOCHS,
            "metrics": numbers,
            "is_best": isinstance(self.is_best, bool),
            "best": self.best is None or _is_number(self.best),
            "replaces": self.replaces is None or _is_digest(self.replaces),
            "placed": isinstance(self.placed, bool),
        }
        wrong = [name for name, fits in kinds.items() if not fits]
        if wrong:
            received = shown(getattr(self, wrong[0]))
            raise ValueError(f"the {wrong[0]} of a record is {received}, which no checkpoint has")


@dataclass(frozen=True)
class Manifest:
    """The checkpoints of one training in the order of their saving, as a JSON file lists them.

    A checkpoint is written down before its file is in its place, and again when it is. So whenever the
    process ends, each file is one that the manifest knows.
    """

    path: Path
    architecture: Sequence[str] = ()
    records: tuple[Record, ...] = ()

    @classmethod
    def read(cls, path: Path, root: Path, path_of: Callable[[int, dict[str, float]], str]) -> "Manifest":
        """The manifest of a file, each of whose records is of a file that this checkpoint would write.

        Parameters
        ----------
        path : Path
        root : Path
            The folder that holds all checkpoints, be it in folders of their own.
        path_of : callable
            Where the checkpoint of an epoch with these metrics is saved.

        Raises
        ------
        CheckpointError
            If it is damaged, or lists a file of another name or place. Then no such file has been opened.
        """
        remedy = (
            f"Take another copy of {path.parent}, or load a model from there by keras.saving.load_model and "
            "save the checkpoints of its training in another folder"
        )
        with damage(path, remedy):
            content = read_json(regular_file(path.parent, path.name))
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is {shown(content['format'])}, not {_FORMAT}")
            lines = content["architecture"]
            if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
                raise ValueError(f"its architecture is {shown(lines)}, not a list of str")
            manifest = cls(path, lines, tuple(Record(**record) for record in content["records"]))
            for record in manifest.records:
                manifest._check_place(record, root, path_of(record.epoch, record.metrics))
        return manifest._settled()

    def write(self) -> None:
        """Write it, whole or not at all."""
        write_json(
            self.path,
            {
                "format": _FORMAT,
                "architecture": list(self.architecture),
                "records": [asdict(record) for record in self.records],
            },
        )

    def coming(self, record: Record) -> "Manifest":
        """With a checkpoint whose file is about to be moved to its place."""
        return replace(self, records=(*self.records, record))

    def placed(self, record: Record, keep: int | None) -> tuple["Manifest", list[Path]]:
        """With that checkpoint in its place and those that are kept; the files of the others."""
        others = [other for other in self.records if other.file != record.file]
        records = [*others, replace(record, placed=True)]
        kept = records if keep is None else self._kept(records, keep)
        dropped = [self.file(r) for r in records if r not in kept]
        return replace(self, records=tuple(kept)), dropped

    def last(self, *, best: bool) -> Record | None:
        """The last checkpoint, or the last that was the best so far; None where there is none.

        Raises
        ------
        CheckpointError
            If its file is not the one that was saved.
        """
        wanted = [record for record in self.records if record.is_best or not best]
        if not wanted:
            return None
        if self._found(wanted[-1]) != wanted[-1].digest:
            raise self._error(wanted[-1])
        return wanted[-1]

    def file(self, record: Record) -> Path:
        """Where a checkpoint is."""
        return self.path.parent / record.file

    @staticmethod
    def _kept(records: list[Record], keep: int) -> list[Record]:
        """The last ones, and the best."""
        best = next((record for record in reversed(records) if record.is_best), None)
        return [record for record in records[:-keep] if record is best] + records[-keep:]

    def _settled(self) -> "Manifest":
        """With the last checkpoint in its place or without it, where the process ended meanwhile."""
        if not self.records or self.records[-1].placed:
            return self
        *others, coming = self.records
        found = self._found(coming)
        if found == coming.digest:
            return self.placed(coming, keep=None)[0]
        if found != coming.replaces:
            raise self._error(coming)
        return replace(self, records=tuple(others))

    def _check_place(self, record: Record, root: Path, wanted: str) -> None:
        """Refuse the record of a file that the checkpoint would not have written."""
        name = relative(wanted, self.path.parent)
        if record.file != name:
            raise CheckpointError(
                f"{self.path} lists {shown(record.file)} for epoch {record.epoch + 1}, for which this "
                f"checkpoint's filepath gives the name {name!r}; none of its files has been opened. Use the "
                "filepath that they were saved by, or another folder"
            )
        regular_file(root, relative(wanted, root))

    def _found(self, record: Record) -> str | None:
        """The digest of the file that is where a checkpoint's should be."""
        path = self.file(record)
        return digest(path) if path.is_file() else None

    def _error(self, record: Record) -> CheckpointError:
        path = self.file(record)
        state = "is damaged: it is not the file that was saved" if path.exists() else "is not there"
        others = [other for other in self.records if other.file != record.file and self._found(other)]
        remedy = (
            f"or load {self.file(others[-1])}, saved after epoch {others[-1].epoch + 1}, by "
            "keras.saving.load_model and train on from there"
            if others
            else f"or delete it and {self.path} to begin anew"
        )
        return CheckpointError(f"{path} {state}. Take another copy of it, {remedy}")


def relative(path: str | Path, folder: Path) -> str:
    """A path as it is seen from a folder."""
    return os.path.relpath(path, folder)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_floats(logs: dict[str, Any]) -> dict[str, float]:
    """The logs that are single numbers."""
    return {name: float(value) for name, value in logs.items() if getattr(value, "ndim", 0) == 0}
