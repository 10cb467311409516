"""The list of the checkpoints of one training, and the errors of damaged ones."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kerashp._arguments import short_repr
from kerashp._files import digest, read_json, regular_file, write_json

_FORMAT = 1
_MOST_EPOCHS = 2**31  # of any training; a later one would end it
_DIGEST = re.compile("[0-9a-f]{64}")


class CheckpointError(ValueError):
    """A checkpoint is damaged, or belongs to another model; the message names its file and a remedy.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from kerashp import build_model
    >>> from kerashp.callbacks import CheckpointError, ModelCheckpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = ModelCheckpoint(f"{folder}/{{epoch:03d}}.keras")
    ...     _ = Path(folder, "epoch.keras.json").write_text("not a manifest")
    ...     try:
    ...         checkpoint.resume(build_model(1, 4))
    ...     except CheckpointError as error:
    ...         print("epoch.keras.json" in str(error))
    True
    """


@contextmanager
def damage(path: Path, remedy: str) -> Iterator[None]:
    """Raise a CheckpointError for any error of reading a file, with that error as its cause."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{path} is damaged ({type(error).__name__}: {error}). {remedy}") from error


@dataclass(frozen=True)
class Record:
    """One checkpoint."""

    file: str  # the file's path, seen from the manifest's folder
    digest: str
    epoch: int  # after which it was saved, counted from 0
    metrics: dict[str, float]
    is_best: bool  # whether the epoch was the best so far
    best: float | None  # the best value so far
    replaces: str | None  # the digest of the file that it replaced
    placed: bool = False  # whether its file has been moved to its place

    def __post_init__(self) -> None:
        """Refuse values that no checkpoint has: the record may come from somebody else's file."""
        checks = {
            "file": isinstance(self.file, str),
            "digest": _is_digest(self.digest),
            "epoch": type(self.epoch) is int and 0 <= self.epoch < _MOST_EPOCHS,
            "metrics": isinstance(self.metrics, dict) and all(map(_is_json_number, self.metrics.values())),
            "is_best": isinstance(self.is_best, bool),
            "best": self.best is None or _is_json_number(self.best),
            "replaces": self.replaces is None or _is_digest(self.replaces),
            "placed": isinstance(self.placed, bool),
        }
        for name, is_valid in checks.items():
            if not is_valid:
                received = short_repr(getattr(self, name))
                raise ValueError(f"the {name} of a record is {received}, which no checkpoint has")


@dataclass(frozen=True)
class Manifest:
    """The checkpoints of one training in the order of saving, as a JSON file lists them.

    The manifest is written before a checkpoint's file is moved to its place, and again after. So it lists
    every file, whenever the process ends.
    """

    path: Path
    architecture: Sequence[str] = ()
    records: tuple[Record, ...] = ()

    @classmethod
    def read(cls, path: Path, root: Path, path_of: Callable[[int, dict[str, float]], str]) -> "Manifest":
        """The manifest in a file, if each record is of a file that this checkpoint would write.

        Parameters
        ----------
        path : Path
        root : Path
            The folder that holds all checkpoints, in sub-folders or not.
        path_of : callable
            Where the checkpoint of an epoch with these metrics is saved.

        Raises
        ------
        CheckpointError
            If it is damaged, or lists a file of another name or place. No such file is opened.
        """
        remedy = (
            f"Take another copy of {path.parent}, or load a model from there by keras.saving.load_model and "
            "save the checkpoints of its training in another folder"
        )
        with damage(path, remedy):
            content = read_json(regular_file(path.parent, path.name))
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is {short_repr(content['format'])}, not {_FORMAT}")
            lines = content["architecture"]
            if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
                raise ValueError(f"its architecture is {short_repr(lines)}, not a list of str")
            manifest = cls(path, lines, tuple(Record(**record) for record in content["records"]))
            for record in manifest.records:
                manifest._check_place(record, root, path_of(record.epoch, record.metrics))
        return manifest._settled()

    def write(self) -> None:
        """Write the file atomically."""
        write_json(
            self.path,
            {
                "format": _FORMAT,
                "architecture": list(self.architecture),
                "records": [asdict(record) for record in self.records],
            },
        )

    def coming(self, record: Record) -> "Manifest":
        """The manifest with a checkpoint whose file is about to be moved to its place."""
        return replace(self, records=(*self.records, record))

    def placed(self, record: Record, keep: int | None) -> tuple["Manifest", list[Path]]:
        """The manifest with this checkpoint in its place, and the files that are no longer kept."""
        records = [listed for listed in self.records if listed.file != record.file]
        records.append(replace(record, placed=True))
        remaining = records if keep is None else self._remaining(records, keep)
        removed = [self.file(r) for r in records if r not in remaining]
        return replace(self, records=tuple(remaining)), removed

    def last_record(self, *, best: bool) -> Record | None:
        """The last checkpoint, or the last that was the best so far; None if there is none.

        Raises
        ------
        CheckpointError
            If its file is not the one that was saved.
        """
        records = [record for record in self.records if record.is_best or not best]
        if not records:
            return None
        if self._present_digest(records[-1]) != records[-1].digest:
            raise self._error(records[-1])
        return records[-1]

    def file(self, record: Record) -> Path:
        """The path of a checkpoint."""
        return self.path.parent / record.file

    @staticmethod
    def _remaining(records: list[Record], keep: int) -> list[Record]:
        """The last `keep` records, and that of the best epoch."""
        best = next((record for record in reversed(records) if record.is_best), None)
        return [record for record in records[:-keep] if record is best] + records[-keep:]

    def _settled(self) -> "Manifest":
        """The manifest, without the last checkpoint if the process ended before its file was moved."""
        if not self.records or self.records[-1].placed:
            return self
        *records, last = self.records
        present_digest = self._present_digest(last)
        if present_digest == last.digest:
            return self.placed(last, keep=None)[0]
        if present_digest != last.replaces:
            raise self._error(last)
        return replace(self, records=tuple(records))

    def _check_place(self, record: Record, root: Path, path: str) -> None:
        """Refuse the record of a file that this checkpoint would not have written."""
        name = relative(path, self.path.parent)
        if record.file != name:
            raise CheckpointError(
                f"{self.path} lists {short_repr(record.file)} for epoch {record.epoch + 1}, for which this "
                f"checkpoint's filepath gives the name {name!r}; none of its files has been opened. Use the "
                "filepath that they were saved by, or another folder"
            )
        regular_file(root, relative(path, root))

    def _present_digest(self, record: Record) -> str | None:
        """The digest of the file at a checkpoint's path; None if there is none."""
        path = self.file(record)
        return digest(path) if path.is_file() else None

    def _error(self, record: Record) -> CheckpointError:
        path = self.file(record)
        state = "is damaged: it is not the file that was saved" if path.exists() else "does not exist"
        intact = [r for r in self.records if r.file != record.file and self._present_digest(r)]
        remedy = (
            f"or load {self.file(intact[-1])}, saved after epoch {intact[-1].epoch + 1}, by "
            "keras.saving.load_model and continue training from there"
            if intact
            else f"or delete it and {self.path} to begin anew"
        )
        return CheckpointError(f"{path} {state}. Take another copy of it, {remedy}")


def relative(path: str | Path, folder: Path) -> str:
    """A path relative to a folder."""
    return os.path.relpath(path, folder)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _is_json_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_floats(logs: dict[str, Any]) -> dict[str, float]:
    """The logs that are single numbers."""
    return {name: float(value) for name, value in logs.items() if getattr(value, "ndim", 0) == 0}
