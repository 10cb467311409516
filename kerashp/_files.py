"""Files that are whole or as they were before, and their digests."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def digest(path: Path) -> str:
    """Of a file's content, by SHA-256."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def digest_of_json(content: dict[str, Any]) -> str:
    """Of what JSON can hold, but for its own entry "digest"."""
    body = {name: value for name, value in content.items() if name != "digest"}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@contextmanager
def written_beside(path: Path, write: Callable[[Path], None]) -> Iterator[Path]:
    """A new file that `write` makes beside its place; the block's end moves it there.

    Whenever the process ends or the disk is full, `path` is the file of before or the whole new one. What is
    left of one that was not moved is overwritten by the next.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".new.{path.name}")
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
