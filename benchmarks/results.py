"""The figures of the benchmarks: files in `results/`, from which the tables of README are made.

`results/NAME.json` has the measurements of `NAME.py` by their part, such as "housing, 10 candidates, 100
epochs": date, revision, machine, versions, settings, and the figures by side and quantity. A new measurement
of a part replaces the old one. `KERASHP_BENCHMARK_RESULTS` names another folder, for trials.
"""

import json
import os
import platform
import subprocess
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("KERASHP_BENCHMARK_RESULTS", Path(__file__).parent / "results"))
PACKAGES = ("kerashp", "tensorflow", "jax", "keras", "scikit-learn", "scikeras", "keras-tuner", "numpy")
Figures = dict[str, dict[str, Any]]  # by side and quantity


@dataclass(frozen=True)
class Measurement:
    """The figures of one part of a benchmark, and when and where it was run."""

    conditions: dict[str, Any]
    settings: dict[str, Any]
    figures: Figures


def read(benchmark: str) -> dict[str, Measurement]:
    """All measurements of a benchmark by part."""
    path = FOLDER / f"{benchmark}.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {part: Measurement(**fields) for part, fields in stored.items()}


def write(benchmark: str, part: str, figures: Figures, runs: int, **settings: Any) -> None:
    """Store the figures of a part with the conditions of this process."""
    measurements = read(benchmark)
    measurements[part] = Measurement(conditions(runs), settings, rounded(figures))
    path = FOLDER / f"{benchmark}.json"
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = json.dumps({name: asdict(own) for name, own in measurements.items()}, indent=1)
    partial = path.with_suffix(".partial")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file with one JSON object a line."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def rounded(value: Any) -> Any:
    """The same with four significant digits in all floats."""
    if isinstance(value, dict):
        return {name: rounded(own) for name, own in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


# The conditions.


def conditions(runs: int) -> dict[str, Any]:
    """When, of which source, with which versions and on which machine this process measures."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "revision": revision(),
        "runs": runs,
        "machine": machine(),
        "versions": versions(),
        "backend": backend(),
    }


def described(measured: dict[str, Any]) -> str:
    """The conditions in words."""
    machine = measured["machine"]
    about = [machine["processor"]] if machine.get("processor") else []
    about += [f"{machine['memory_gb']:.0f} GB"] if machine.get("memory_gb") else []
    about += [machine["remark"]] if machine.get("remark") else []
    cores = f"{machine['cores']} cores" + (f" ({', '.join(about)})" if about else "")
    packages = [f"{name} {version}" for name, version in measured.get("versions", {}).items()]
    return ", ".join([measured["date"], cores, *packages])


def backend() -> str:
    import keras

    return str(keras.backend.backend())


def versions() -> dict[str, str]:
    """Those of Python and of the packages that are installed."""
    installed = {distribution.name: distribution.version for distribution in distributions()}
    packages = {name: installed[name] for name in PACKAGES if name in installed}
    return {"Python": platform.python_version(), **packages}


@cache
def machine() -> dict[str, Any]:
    """The processor, the cores that this process may use, the memory, and how fast they multiply matrices."""
    from joblib import cpu_count

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": cpu_count(),
        "memory_gb": round(memory, 1),
        "sgemm_gflops": round(sgemm_rate()),
    }


def sgemm_rate(size: int = 2000, runs: int = 5) -> float:
    """GFLOP/s of a matrix product in float32, the best of several runs."""
    import numpy as np

    matrix = np.random.default_rng(0).random((size, size), "float32")
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        matrix @ matrix
        times.append(time.perf_counter() - began)
    return 2 * size**3 / 1e9 / min(times)


def revision() -> str | None:
    """The commit of this checkout, and whether kerashp has changed since."""
    folder = Path(__file__).parents[1]
    commit = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    changed = ["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no", "kerashp"]
    try:
        name, changes = (
            subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
            for command in (commit, changed)
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{name}, changed" if changes else name
