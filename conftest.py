"""How the tests compile, and what they leave out where a package is missing, or is there."""

import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

# Most of the tests' time is compiling: take XLA's older, quicker emitters, do not optimize what they emit,
# and keep it in as few memory maps as possible.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1",
)
# The user's own cache of programs must not matter.
os.environ["KERASHP_CACHE"] = "off"
# No test uses a network.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_ERROR_REPORTING"] = "false"

collect_ignore = [
    f"kerashp/{folder}/{backend}.py"
    for backend in ("jax", "tensorflow")
    if not find_spec(backend)
    for folder in ("_compat", "training/_runtime")
]
if not find_spec("tensorflow"):
    collect_ignore.append("kerashp/training/_runtime/tensorflow_graphs.py")
if find_spec("tensorflow"):
    collect_ignore.append("tests/test_jax_alone.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    """A process keeps all that TensorFlow compiles in it: some MB for each program of many thousand tests."""
    parser.addoption("--part", metavar="I/N", help="run the I-th of N parts, each of whole files")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the files of the other parts unread: importing them takes longer than many tests."""
    if config.getoption("part") is None or collection_path.is_dir():
        return None
    part, n_parts = map(int, config.getoption("part").split("/"))
    return None if collection_path in _parts(n_parts)[part - 1] else True


@cache
def _parts(n_parts: int) -> list[set[Path]]:
    """All files that may have tests, in parts of about the same number of letters."""
    root = Path(__file__).parent
    sizes = {
        path: path.stat().st_size for folder in ("kerashp", "tests") for path in (root / folder).rglob("*.py")
    }
    parts: list[set[Path]] = [set() for _ in range(n_parts)]
    for path in sorted(sizes, key=lambda path: (-sizes[path], path)):
        min(parts, key=lambda part: sum(map(sizes.__getitem__, part))).add(path)
    return parts
