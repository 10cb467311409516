"""Lines that compiled code writes to stderr, of which some are left out."""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from kerashp._loading import without_lines_on_stderr


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


def _loaded(room: str, folder: Path, level: str | None) -> list[str]:
    """What is written to stderr while a room imports this folder's Keras."""
    (folder / "keras.py").write_text(
        "import os\nos.write(2, b'I0000 oneDNN custom operations are on.\\nE0000 no such device\\n')\n"
        "raise ImportError('no keras')\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment |= {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    environment |= {} if level is None else {"TF_CPP_MIN_LOG_LEVEL": level}
    command = [sys.executable, "-c", f"import kerashp.{room}"]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60
    ).stderr.splitlines()


@pytest.mark.parametrize(
    "room",
    [
        "callbacks",
        "diagnostics",
        "estimators",
        "integrations.keras_tuner",
        "model_selection",
        "models",
        "plotting",
        "schedules",
        "training",
    ],
)
def test_keras_is_loaded_without_what_tells_about_the_processor(tmp_path: Path, room: str) -> None:
    """But with what is wrong."""
    first, *others = _loaded(room, tmp_path, None)
    assert first == "E0000 no such device"
    assert others[-1] == "ImportError: no keras"


@pytest.mark.parametrize(("level", "shown"), [("0", True), ("2", False)])
def test_all_lines_are_shown_on_request(tmp_path: Path, level: str, shown: bool) -> None:
    assert ("oneDNN" in _loaded("training", tmp_path, level)[0]) == shown
