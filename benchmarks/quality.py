"""Test error against time: searches of kerashp and of other libraries, with budgets of seconds to minutes.

python benchmarks/quality.py [--csv housing.csv] [--data housing digits] [--sides ...] [--seeds 0 1 2]
    [--budgets 10 15 60 300] [--results benchmarks/results/quality.jsonl] [--table]

Runs are separate processes, one after the other; their time includes compiling, but not imports. Results are
appended to the file and not computed again, so the program may be stopped and resumed. Each result contains
the number of cores; to compare on one core, use `taskset -c 0 python benchmarks/quality.py ...`.
"""

import argparse
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import results
from common import HOUSING, heading
from joblib import cpu_count
from quality_tables import BUDGETS, ERRORS, MLP, OPTUNA, OURS, SIDES, TREES, TUNERS, Row, markdown


def run(side: str, data: str, seed: int, budgets: Sequence[float], csv: Path) -> list[Any]:
    """What a side has at the end of each budget."""
    import quality_kerashp
    import quality_peers
    from quality_data import divided

    rows = divided(data, seed, csv)
    if side in OURS:
        return [
            quality_kerashp.searched(getattr(quality_kerashp, OURS[side]), rows, budget) for budget in budgets
        ]
    if side in TUNERS:
        return quality_peers.tuner(TUNERS[side], rows, budgets)
    if side == TREES:
        return [quality_peers.trees(rows)]
    return {OPTUNA: quality_peers.optuna, MLP: quality_peers.perceptrons}[side](rows, budgets)


def child(options: argparse.Namespace) -> None:
    """Run one side and print what came of it as JSON."""
    warnings.simplefilter("ignore")
    (side,), (data,), (seed,) = options.sides, options.data, options.seeds
    narrow(options)
    found = run(side, data, seed, options.budgets, options.csv)
    print(json.dumps([asdict(outcome) for outcome in found], default=lambda number: number.item()))


def narrow(options: argparse.Namespace) -> None:
    """Leave only these choices to all sides."""
    import quality_data

    quality_data.BATCHES[:], quality_data.OPTIMIZERS[:] = options.batches, options.optimizers


def runs(options: argparse.Namespace) -> Iterator[tuple[str, str, int, list[float]]]:
    """Data, side, seed and budgets of each process: ours have one for each budget."""
    budgets = sorted(options.budgets)
    for seed in options.seeds:
        for data in options.data:
            for side in options.sides:
                for own in [[budget] for budget in budgets] if side in OURS else [budgets]:
                    yield data, side, seed, own


def measured(data: str, side: str, seed: int, budgets: list[float], options: argparse.Namespace) -> list[Row]:
    """The results of one process."""
    own = {"data": [data], "sides": [side], "seeds": [seed], "budgets": budgets, "csv": [options.csv]}
    own |= {"batches": options.batches, "optimizers": options.optimizers}
    arguments = [str(word) for name, words in own.items() for word in (f"--{name}", *words)]
    command = [sys.executable, __file__, "--child", *arguments]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        sys.exit(process.stderr)
    about = {"data": data, "side": side, "seed": seed, "cores": cpu_count()}
    return [about | outcome for outcome in json.loads(process.stdout.splitlines()[-1])]


def key(row: Row) -> tuple[Any, ...]:
    return row["data"], row["side"], row["seed"], row["budget"], row["cores"]


def run_all(options: argparse.Namespace) -> None:
    """Run what the file does not have."""
    done = {key(row) for row in results.read_rows(options.results) if "side" in row}
    n_seeds = len(options.seeds)
    with options.results.open("a") as file:
        about = f"batches of {options.batches}, optimizers {options.optimizers}"
        measured_at = {"heading": heading(n_seeds, about), "conditions": results.conditions(n_seeds)}
        print(json.dumps(measured_at), file=file, flush=True)
        for data, side, seed, budgets in runs(options):
            wanted = [None] if side == TREES else budgets
            if {(data, side, seed, budget, cpu_count()) for budget in wanted} <= done:
                continue
            for row in measured(data, side, seed, budgets, options):
                if key(row) not in done:
                    print(json.dumps(row), file=file, flush=True)
                print(said(row), file=sys.stderr, flush=True)


def said(row: Row) -> str:
    errors = ", ".join(
        f"{name} {error:.4f} at {row['seconds'][name]:.1f} s" for name, error in row["errors"].items()
    )
    about = f"{row['data']}, {row['side']}, seed {row['seed']}, {row['budget']} s"
    return f"{about}: {errors or 'nothing'}; {row['candidates']} candidates"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--results", type=Path, default=results.FOLDER / "quality.jsonl")
    parser.add_argument("--table", action="store_true", help="print what the file has, and run nothing")
    parser.add_argument("--csv", type=Path, default=HOUSING)
    parser.add_argument("--data", nargs="+", choices=ERRORS, default=["digits", "housing"])
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--budgets", nargs="+", type=float, default=BUDGETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--batches", nargs="+", type=int, default=[32], help="sizes to choose from")
    parser.add_argument("--optimizers", nargs="+", default=["adam"], help="adam, sgd or both")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
    elif options.table:
        print(markdown(results.read_rows(options.results)), end="")
    else:
        run_all(options)


if __name__ == "__main__":
    main()
