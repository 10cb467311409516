"""What tests of trackers of experiments read."""

import json
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_BLOCK, _HEADER, _START = 32768, 7, 7  # of W&B's files, in bytes
_ENDS = (1, 4)  # kinds of fragments: a whole record, and the last fragment of one


@dataclass
class WandbRun:
    """What the file of a run in Weights & Biases holds."""

    id: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    exit_code: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[Any] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)


def _records(data: bytes) -> list[bytes]:
    """The records of a file in LevelDB's log format."""
    found, record, offset = [], b"", _START
    while offset < len(data):
        left = _BLOCK - offset % _BLOCK
        if left < _HEADER:
            offset += left
            continue
        length, kind = struct.unpack("<HB", data[offset + 4 : offset + _HEADER])
        record += data[offset + _HEADER : offset + _HEADER + length]
        offset += _HEADER + length
        if kind in _ENDS:
            found.append(record)
            record = b""
    return found


def _values(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def _run(path: Path) -> WandbRun:
    from wandb.proto.wandb_internal_pb2 import Record

    run = WandbRun(path.stem.removeprefix("run-"))
    for data in _records(path.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        run.kinds.append(kind)
        if kind == "run":
            run.name, run.group = record.run.display_name, record.run.run_group
            run.job_type = record.run.job_type
            run.config |= _values(record.run.config.update)
        elif kind == "history":
            run.history.append(_values(record.history.item))
        elif kind == "summary":
            run.summary |= _values(record.summary.update)
        elif kind == "artifact":
            run.artifacts.append(record.artifact)
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


@pytest.fixture
def wandb_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where W&B keeps runs that get it as their folder, and all else that it writes."""
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def read_wandb() -> Iterator[Callable[[Path], list[WandbRun]]]:
    """Read the runs that were written offline to a folder, in the order of their names."""

    def read(folder: Path) -> list[WandbRun]:
        start = time.monotonic()
        while True:  # W&B's process writes the end of a run shortly after `finish` has returned
            runs = list(map(_run, folder.glob("wandb/offline-run-*/*.wandb")))
            missing = [run for run in runs if run.exit_code is None]
            patience = 1 if all(len(run.id) == 32 for run in missing) else 10  # a search's run may be open
            if not missing or time.monotonic() - start > patience:
                return sorted(runs, key=lambda run: run.name)
            time.sleep(0.01)

    yield read
    import wandb

    wandb.teardown()  # its process


@pytest.fixture
def wandb_runs(
    wandb_folder: Path, read_wandb: Callable[[Path], list[WandbRun]]
) -> Callable[[], list[WandbRun]]:
    """Read the runs that a test has written."""
    return lambda: read_wandb(wandb_folder)


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of MLflow in a file; creating its tables takes seconds."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/runs.db"
    MlflowClient(uri).search_experiments()
    return uri


@pytest.fixture
def mlflow_experiment(
    mlflow_uri: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The name of a new experiment with a folder for its artifacts, in the store that is MLflow's default."""
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")  # what `mlflow.set_experiment` sets is undone, too
    MlflowClient(mlflow_uri).create_experiment(request.node.name, (tmp_path / "artifacts").as_uri())
    return request.node.name
