"""Lines that compiled code writes to stderr, some of which are left out."""

import os
import threading
from contextlib import suppress

import pytest

from kerashp.training._runtime.tensorflow_logs import without_lines_on_stderr


def test_lines_with_the_text_are_left_out_and_others_kept(capfd: pytest.CaptureFixture[str]) -> None:
    with without_lines_on_stderr(b"noise", b"more"):
        os.write(2, b"first\nsome noise\nsome more\nlast\n")
    os.write(2, b"noise afterwards\n")
    assert capfd.readouterr().err == "first\nlast\nnoise afterwards\n"


def test_several_threads_may_be_inside(capfd: pytest.CaptureFixture[str]) -> None:
    barrier = threading.Barrier(4)

    def write() -> None:
        with without_lines_on_stderr(b"noise"):
            barrier.wait()
            os.write(2, b"noise\nkept\n")
            barrier.wait()

    for _ in range(3):
        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert capfd.readouterr().err == "kept\n" * 12


def test_an_error_inside_restores_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with suppress(ZeroDivisionError), without_lines_on_stderr(b"noise"):
        os.write(2, b"before\n")
        os.write(2, b"%d" % (1 // 0))
    os.write(2, b"noise\n")
    assert capfd.readouterr().err == "before\nnoise\n"


def test_without_stderr_the_block_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: int) -> None:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", closed)
    ran = []
    with without_lines_on_stderr(b"noise"):
        ran.append(True)
    assert ran
