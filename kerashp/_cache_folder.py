"""The folder in which results that take seconds to make are kept from process to process.

What is in it is executed, so it has to be the user's own. Each entry is a file with a checksum of its name
and content; one that is damaged counts as absent, and is removed. Writes are atomic, and any number of
processes may read and write.
"""

import hashlib
import os
import platform
import stat
import tempfile
import threading
import time
import warnings
import zlib
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path

from platformdirs import user_cache_path

_VARIABLE = "KERASHP_CACHE"
_MAGIC = b"kerashp cache 1\n"
_ENTRY, _UNFINISHED = ".kerashp", ".new."
_MOST_BYTES = 512 * 2**20  # of all entries
_MOST_OF_ENTRY = 64 * 2**20  # uncompressed
_SHARE_KEPT = 0.9  # of the most bytes, where entries are removed: it should not happen at every write
_WRITES_BETWEEN = 16  # looks at the sizes of all entries
_ABANDONED = 3600.0  # seconds after which an unfinished entry has no writer any more
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_READ_ONLY = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)


class CacheFolder:
    """Entries by name, each of some bytes.

    Parameters
    ----------
    path : Path
        An existing folder.
    most_bytes : int, default=512 MiB
        The size of all entries, beyond which those that were used longest ago are removed.
    """

    def __init__(self, path: Path, most_bytes: int = _MOST_BYTES):
        self.path = path
        self._most_bytes = most_bytes
        self._n_writes = count()

    def read(self, name: str) -> bytes | None:
        """An entry's content; None where there is none that is undamaged."""
        path = self._place(name)
        try:
            with open(os.open(path, _READ_ONLY), "rb") as file:
                is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
                stored = file.read(_MOST_OF_ENTRY + 1) if is_regular else b""
        except OSError:
            return None
        content = _content(name, stored)
        with suppress(OSError):  # another process may remove it
            if content is None:
                path.unlink()
            else:
                os.utime(path)  # by which it counts as used
        return content

    def write(self, name: str, content: bytes) -> None:
        """Keep an entry, if the disk allows it."""
        if len(content) > _MOST_OF_ENTRY:
            return
        with suppress(OSError):
            handle, unfinished = tempfile.mkstemp(dir=self.path, prefix=_UNFINISHED)
            try:
                with open(handle, "wb") as file:
                    file.write(_stored(name, content))
                os.replace(unfinished, self._place(name))
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(unfinished)
            if next(self._n_writes) % _WRITES_BETWEEN == 0:
                self._prune()

    def remove(self, name: str) -> None:
        """Remove an entry."""
        with suppress(OSError):
            self._place(name).unlink()

    def clear(self) -> None:
        """Remove all entries."""
        for path, _ in self._files():
            with suppress(OSError):
                path.unlink()

    def _place(self, name: str) -> Path:
        return self.path / f"{name}{_ENTRY}"

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        """The entries, and those that are being written."""
        found = []
        with suppress(OSError), os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name.endswith(_ENTRY) or entry.name.startswith(_UNFINISHED):
                    with suppress(OSError):
                        found.append((Path(entry.path), entry.stat(follow_symlinks=False)))
        return found

    def _prune(self) -> None:
        files = sorted(self._files(), key=lambda file: file[1].st_mtime)
        n_bytes = sum(status.st_size for _, status in files)
        kept = n_bytes if n_bytes <= self._most_bytes else _SHARE_KEPT * self._most_bytes
        for path, status in files:
            is_abandoned = path.name.startswith(_UNFINISHED) and time.time() - status.st_mtime > _ABANDONED
            if n_bytes > kept or is_abandoned:
                n_bytes -= status.st_size
                with suppress(OSError):
                    path.unlink()


def is_off() -> bool:
    """Whether the user has turned the cache off."""
    return os.environ.get(_VARIABLE) == "off"


def cache_folder() -> CacheFolder | None:
    """The folder that the environment names; None where there is none, or none that is safe."""
    if is_off():
        return None
    value = os.environ.get(_VARIABLE)
    path = Path(value) if value else user_cache_path("kerashp", appauthor=False)
    with _LOCK:  # of several threads, one warns
        return _checked(path, is_default=not value)


_LOCK = threading.Lock()


@cache
def _checked(path: Path, *, is_default: bool) -> CacheFolder | None:
    try:
        path = path.expanduser()
        if is_default and not path.is_absolute():
            return None  # there is no home
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        obstacle = _obstacle(path)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        if is_default:
            return None  # such as a home that cannot be written to
        obstacle = f"it cannot be used ({error})"
    if obstacle is None:
        return CacheFolder(path.absolute())
    warnings.warn(
        f"kerashp does not keep compiled programs in {path}: {obstacle}. What is in the folder would be "
        f"executed, so it has to be your own; or set {_VARIABLE} to another folder, or to off",
        stacklevel=1,
    )
    return None


def _obstacle(path: Path) -> str | None:
    """Why a folder is not the user's own, if it is not."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"it is a link; name the folder itself, {path.resolve()}"
    if os.name != "posix":
        return None
    if status.st_uid != os.geteuid():
        return f"it belongs to another user (of number {status.st_uid})"
    if status.st_mode & _OTHERS_MAY_WRITE:
        mode = stat.S_IMODE(status.st_mode)
        return f"other users may write to it (its mode is {mode:o}); `chmod 700 {path}` mends it"
    return None


def _stored(name: str, content: bytes) -> bytes:
    compressed = zlib.compress(content, 1)
    return _MAGIC + _checksum(name, compressed) + compressed


def _content(name: str, stored: bytes) -> bytes | None:
    """The content of an entry of this name as stored; None if it is damaged, or another's."""
    begin = len(_MAGIC) + hashlib.sha256().digest_size
    compressed = stored[begin:]
    if stored[:begin] != _MAGIC + _checksum(name, compressed):
        return None
    content = zlib.decompressobj().decompress(compressed, _MOST_OF_ENTRY + 1)
    return content if len(content) <= _MOST_OF_ENTRY else None


def _checksum(name: str, compressed: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + compressed).digest()


@cache
def processor() -> str:
    """The kind of processor and what it can do, where the system says so."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor()
    first = path.read_text().split("\n\n")[0].splitlines()
    return "\n".join(line for line in first if line.startswith(("model name", "flags", "Features")))
