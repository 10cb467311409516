"""The folder of the cache: whose it is, and what becomes of entries that are damaged, foreign or too many."""

import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from kerashp import _cache_folder
from kerashp._cache_folder import CacheFolder, cache_folder


@pytest.fixture
def folder(tmp_path: Path) -> CacheFolder:
    path = tmp_path / "cache"
    path.mkdir(mode=0o700)
    return CacheFolder(path)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    _cache_folder._checked.cache_clear()


def _file(folder: CacheFolder) -> Path:
    (path,) = folder.path.iterdir()
    return path


def test_an_entry_is_read_by_its_name(folder: CacheFolder) -> None:
    assert folder.read("a") is None
    folder.write("a", b"content" * 1000)
    assert folder.read("a") == b"content" * 1000
    assert folder.read("b") is None
    assert os.name != "posix" or _file(folder).stat().st_mode & 0o777 == 0o600
    folder.write("a", b"other")
    assert folder.read("a") == b"other"
    folder.remove("a")
    assert folder.read("a") is None
    folder.remove("a")


@pytest.mark.parametrize(
    "damaged",
    [
        lambda stored: stored[:-1],
        lambda stored: stored[:20],
        lambda _: b"",
        lambda stored: stored[:-1] + bytes([stored[-1] ^ 1]),
        lambda _: b"another program's file",
        lambda stored: b"x" + stored,
    ],
    ids=["cut", "only a beginning", "empty", "a changed byte", "foreign", "shifted"],
)
def test_a_damaged_entry_is_ignored_and_rewritten(folder: CacheFolder, damaged) -> None:
    folder.write("a", b"content")
    path = _file(folder)
    path.write_bytes(damaged(path.read_bytes()))
    assert folder.read("a") is None
    assert not path.exists()
    folder.write("a", b"content")
    assert folder.read("a") == b"content"


def test_an_entry_under_another_name_is_ignored(folder: CacheFolder) -> None:
    folder.write("a", b"content")
    _file(folder).rename(folder.path / "b.kerashp")
    assert folder.read("b") is None


@pytest.mark.skipif(os.name != "posix", reason="needs links and pipes")
def test_entries_that_are_no_files_are_ignored_and_replaced(folder: CacheFolder, tmp_path: Path) -> None:
    folder.write("a", b"content")
    path, outside = _file(folder), tmp_path / "outside"
    path.rename(outside)
    path.symlink_to(outside)
    assert folder.read("a") is None  # though what it leads to is whole
    folder.write("a", b"new")
    assert folder.read("a") == b"new"
    assert not path.is_symlink()
    assert CacheFolder(tmp_path).read("outside") is None
    path.unlink()
    os.mkfifo(path)
    assert folder.read("a") is None  # and does not wait for a writer
    path.unlink(missing_ok=True)
    path.mkdir()
    assert folder.read("a") is None
    folder.write("a", b"new")  # fails, and nobody minds
    assert sorted(entry.name for entry in folder.path.iterdir()) == ["a.kerashp"]


def test_entries_used_longest_ago_are_removed_first(folder: CacheFolder, monkeypatch) -> None:
    monkeypatch.setattr(_cache_folder, "_WRITES_BETWEEN", 1)
    bounded = CacheFolder(folder.path, most_bytes=5000)
    for index in range(4):
        bounded.write(str(index), os.urandom(1000))
        os.utime(folder.path / f"{index}.kerashp", (index, index))
    assert bounded.read("0") is not None  # which counts as used now
    bounded.write("4", os.urandom(1000))
    assert [bounded.read(str(index)) is not None for index in range(5)] == [True, False, True, True, True]


def test_a_content_that_is_too_large_is_not_kept(folder: CacheFolder, monkeypatch) -> None:
    monkeypatch.setattr(_cache_folder, "_MOST_OF_ENTRY", 1000)
    folder.write("a", bytes(1001))
    assert not list(folder.path.iterdir())
    folder.write("a", bytes(1000))
    assert folder.read("a") == bytes(1000)
    monkeypatch.setattr(_cache_folder, "_MOST_OF_ENTRY", 999)
    assert folder.read("a") is None  # it is not unpacked beyond that size


def test_clearing_and_pruning_touch_nothing_else(folder: CacheFolder) -> None:
    other = folder.path / "notes.txt"
    other.write_text("mine")
    unfinished = folder.path / ".new.abc"
    unfinished.write_bytes(b"of a process that was killed")
    os.utime(unfinished, (0, 0))
    CacheFolder(folder.path, most_bytes=0).write("a", b"content")
    assert sorted(path.name for path in folder.path.iterdir()) == ["notes.txt"]
    folder.write("a", b"content")
    folder.clear()
    assert other.read_text() == "mine"
    assert sorted(path.name for path in folder.path.iterdir()) == ["notes.txt"]


def test_a_full_disk_or_a_missing_folder_breaks_nothing(folder: CacheFolder, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        folder.write("a", b"content")
    assert not list(folder.path.iterdir())
    folder.path.rmdir()
    folder.write("a", b"content")
    assert folder.read("a") is None
    folder.clear()


def test_many_writers_at_once_leave_whole_entries(folder: CacheFolder) -> None:
    contents = [bytes([index]) * 100_000 for index in range(8)]
    found: list[bytes | None] = []

    def write(content: bytes) -> None:
        for _ in range(20):
            CacheFolder(folder.path).write("a", content)
            found.append(folder.read("a"))

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 160
    assert set(found) <= set(contents)
    assert [path.name for path in folder.path.iterdir()] == ["a.kerashp"]


# Which folder.


def _found(
    monkeypatch: pytest.MonkeyPatch, value: Path | str | None, home: Path | None = None
) -> CacheFolder | None:
    if value is None:
        monkeypatch.delenv("KERASHP_CACHE")
    else:
        monkeypatch.setenv("KERASHP_CACHE", str(value))
    if home is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return cache_folder()


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch) -> None:
    assert _found(monkeypatch, "off") is None
    found = _found(monkeypatch, tmp_path / "new" / "cache")
    assert found.path == tmp_path / "new" / "cache"
    assert os.name != "posix" or found.path.stat().st_mode & 0o777 == 0o700
    if sys.platform == "linux":
        assert _found(monkeypatch, None, tmp_path / "home").path == tmp_path / "home" / "kerashp"
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("XDG_CACHE_HOME")
        assert _found(monkeypatch, "").path == tmp_path / ".cache" / "kerashp"


def _refused(monkeypatch: pytest.MonkeyPatch, path: Path, message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        assert _found(monkeypatch, path) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _found(monkeypatch, path) is None  # one warning is enough


@pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "cache"
    path.mkdir()
    for mode in (0o777, 0o770, 0o702):
        _cache_folder._checked.cache_clear()
        path.chmod(mode)
        _refused(monkeypatch, path, rf"others? users may write to it \(its mode is {mode:o}\); `chmod 700")
    _cache_folder._checked.cache_clear()
    path.chmod(0o755)
    assert _found(monkeypatch, path).path == path


@pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    _refused(
        monkeypatch, tmp_path, f"belongs to another user .of number {tmp_path.stat().st_uid}.*KERASHP_CACHE"
    )


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_a_link_is_refused(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("target")
    _refused(monkeypatch, tmp_path / "link", f"it is a link; name the folder itself, {tmp_path}/target")


def test_a_file_is_refused(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    _refused(monkeypatch, tmp_path / "file", "it cannot be used .*File exists")


def test_without_a_usable_home_nothing_is_kept_or_said(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "home").write_text("")
    if sys.platform == "linux":
        assert _found(monkeypatch, None, tmp_path / "home") is None
        monkeypatch.setattr(_cache_folder, "user_cache_path", lambda *_, **__: Path("~no-such-user/.cache"))
        assert cache_folder() is None
        monkeypatch.setattr(_cache_folder, "user_cache_path", lambda *_, **__: Path("relative"))
        assert cache_folder() is None


def test_importing_makes_no_folder(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "home"), "KERASHP_CACHE": ""}
    subprocess.run(
        [sys.executable, "-c", "import kerashp._cache_folder"], env=environment, check=True, timeout=120
    )
    assert not (tmp_path / "home").exists()
