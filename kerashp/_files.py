"""Files that are whole or as they were before, their digests, and files of somebody else's."""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_MOST_JSON = 2**26  # bytes; a hundred thousand epochs with all their metrics are less


def digest(path: Path) -> str:
    """Of a file's content, by SHA-256."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def digest_of_json(content: dict[str, Any]) -> str:
    """Of what JSON can hold, but for its own entry "digest"."""
    body = {name: value for name, value in content.items() if name != "digest"}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def regular_file(folder: Path, name: str) -> Path:
    """Where a file of a folder is, which may not be there.

    Raises
    ------
    ValueError
        If the name or a link leads out of the folder, or if it is something else than a regular file, such
        as a folder or a pipe, whose opening might never end.
    """
    place = folder.resolve()
    wanted = Path(os.path.normpath(place / name))
    found = (folder / name).resolve()
    if place not in wanted.parents or found != wanted:
        raise ValueError(f"{name} leads out of the folder, to {found}")
    with suppress(FileNotFoundError, NotADirectoryError):  # another process may remove it at any moment
        if not stat.S_ISREG(found.stat().st_mode):
            raise ValueError(f"{name} is no regular file")
    return folder / name


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` wrote.

    Raises
    ------
    OSError, ValueError, RecursionError
        If it cannot be read, has more than `_MOST_JSON` bytes, or its digest is that of something else.
    """
    size = path.stat().st_size
    if size > _MOST_JSON:
        raise ValueError(f"it has {size} bytes, and at most {_MOST_JSON} are read")
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not an object")
    if content.get("digest") != digest_of_json(content):
        raise ValueError("its digest differs from what it says")
    return content


@contextmanager
def written_beside(path: Path, write: Callable[[Path], None]) -> Iterator[Path]:
    """A new file that `write` makes beside its place; the block's end moves it there.

    Whenever the process ends or the disk is full, `path` is the file of before or the whole new one. What is
    left of one that was not moved is overwritten by the next.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".new.{path.name}")
    beside.unlink(missing_ok=True)  # a link would have another file written
    try:
        write(beside)
        _flush(beside, os.O_RDWR)
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        _flush(path.parent, os.O_RDONLY)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON with its digest, whole or not at all."""
    text = json.dumps({**content, "digest": digest_of_json(content)}, indent=1)
    with written_beside(path, lambda beside: _write_text(beside, text)):
        pass


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _flush(path: Path, flags: int) -> None:
    opened = os.open(path, flags)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
