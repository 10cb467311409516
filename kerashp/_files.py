"""Atomic writes of files, their digests and formats, and checks of files that others may have written."""

import hashlib
import json
import os
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_LENGTH = struct.Struct(">Q")
_MAX_JSON_BYTES = 2**26  # a hundred thousand epochs with all their metrics need less


def digest(path: Path) -> str:
    """The SHA-256 digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_json(content: dict[str, Any]) -> str:
    """The SHA-256 digest of a JSON object without its entry "digest"."""
    body = {name: value for name, value in content.items() if name != "digest"}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def regular_file(folder: Path, name: str) -> Path:
    """The path of a file in a folder, which need not exist.

    Raises
    ------
    ValueError
        If the name or a link leads out of the folder, or if it is not a regular file, such as a folder or a
        pipe, which might block when it is opened.
    """
    root = folder.resolve()
    expected = Path(os.path.normpath(root / name))
    target = (folder / name).resolve()
    if root not in expected.parents or target != expected:
        raise ValueError(f"{name} leads out of the folder, to {target}")
    with suppress(FileNotFoundError, NotADirectoryError):  # another process may remove it at any moment
        if not stat.S_ISREG(target.stat().st_mode):
            raise ValueError(f"{name} is not a regular file")
    return folder / name


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object that `write_json` wrote.

    Raises
    ------
    OSError, ValueError, RecursionError
        If it cannot be read, is larger than 64 MiB, or does not match its digest.
    """
    size = path.stat().st_size
    if size > _MAX_JSON_BYTES:
        raise ValueError(f"it has {size} bytes, and at most {_MAX_JSON_BYTES} are read")
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"it contains a {type(content).__name__}, not a JSON object")
    if content.get("digest") != digest_of_json(content):
        raise ValueError("its digest differs from that of its content")
    return content


@contextmanager
def atomic_write(path: Path, write: Callable[[Path], None]) -> Iterator[Path]:
    """Write a new file beside `path`, and move it to `path` at the end of the block.

    If the process is killed or the disk is full, `path` is the previous file or the complete new one. A
    temporary file that was left behind is overwritten by the next call.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".new.{path.name}")
    temporary.unlink(missing_ok=True)  # if it is a link, another file would be overwritten
    try:
        write(temporary)
        _flush(temporary, os.O_RDWR)
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # other systems cannot open a folder
        _flush(path.parent, os.O_RDONLY)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object and its digest atomically."""
    write_bytes(path, json.dumps({**content, "digest": digest_of_json(content)}, indent=1).encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    with atomic_write(path, write):
        pass


def packed(head: Any, parts: Sequence[bytes]) -> bytes:
    """A value of JSON and some parts as one string.

    >>> unpacked(packed({"a": 1}, [b"x", b"yz"]))
    ({'a': 1}, [b'x', b'yz'])
    """
    text = json.dumps([head, list(map(len, parts))]).encode()
    return _LENGTH.pack(len(text)) + text + b"".join(parts)


def unpacked(content: bytes) -> tuple[Any, list[bytes]]:
    """The value and the parts that were packed."""
    (length,) = _LENGTH.unpack_from(content)
    begin = _LENGTH.size + length
    head, sizes = json.loads(content[_LENGTH.size : begin])
    parts = []
    for size in sizes:
        parts.append(content[begin : begin + size])
        begin += size
    return head, parts


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
