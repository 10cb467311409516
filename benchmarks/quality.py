"""Test error against time: searches of kerashp and of other libraries, with budgets of seconds to minutes.

python benchmarks/quality.py --results quality.jsonl [--csv housing.csv] [--data housing digits]
    [--sides ...] [--budgets 10 15 60 300] [--seeds 0 1 2]
python benchmarks/quality.py --results quality.jsonl --table > benchmarks/quality.md

Runs are separate processes, one after the other; their time includes compiling, but not imports. Results are
appended to the file and not computed again, so the program may be stopped and resumed. Each result contains
the number of cores; to compare on one core, use `taskset -c 0 python benchmarks/quality.py ...`.
"""

import argparse
import json
import math
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from common import HOUSING, heading
from joblib import cpu_count

# Name: the module's function and its first arguments.
OURS = {
    "RandomizedSearchCV": "random",
    "HalvingRandomSearchCV": "halving",
    "CoarseToFineSearchCV": "coarse_to_fine",
    'OracleSearchCV("bayesian")': "bayesian",
}
TUNERS = {
    "keras-tuner RandomSearch": "RandomSearch",
    "keras-tuner BayesianOptimization": "BayesianOptimization",
    "keras-tuner Hyperband": "Hyperband",
}
OPTUNA, MLP, TREES = "Optuna TPE, Keras", "scikit-learn MLP, random", "HistGradientBoosting, defaults"
SIDES = [*OURS, *TUNERS, OPTUNA, MLP, TREES]
BUDGETS = [10.0, 15.0, 60.0, 300.0]
ERRORS = {"digits": "wrong labels", "housing": "RMSE, $100,000"}
SPELLED = {"digits": "{:.2%}".format, "housing": "{:.4f}".format}
ABOUT = """\
`benchmarks/quality.py`: median test error [least, largest] of {n_seeds} seeds, which determine the division
of the rows, the candidates and the weights. All search the same networks within the budget, which includes
compiling, and for kerashp the refit. A peer ran once; at the end of each budget its best candidate so far
was used with its weights ("kept") or trained again on all rows ("refitted", whose time is not counted).
"nothing": no candidate was finished. A cell contains the time of a run that exceeded its budget, and the
number of seeds if fewer ran."""
Row = dict[str, Any]


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


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def key(row: Row) -> tuple[Any, ...]:
    return row["data"], row["side"], row["seed"], row["budget"], row["cores"]


def run_all(options: argparse.Namespace) -> None:
    """Run what the file does not have."""
    done = {key(row) for row in read(options.results) if "side" in row}
    with options.results.open("a") as file:
        about = f"batches of {options.batches}, optimizers {options.optimizers}"
        print(json.dumps({"heading": heading(len(options.seeds), about)}), file=file, flush=True)
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


# The table.


class Line:
    """A side on so many cores, and what is judged of it: the rows of all seeds by budget."""

    def __init__(self, side: str, cores: int, judged: str, rows: list[Row], n_seeds: int):
        self.side, self.cores, self.judged, self.n_seeds = side, cores, judged, n_seeds
        self.rows = {budget: [row for row in rows if row["budget"] == budget] for budget in budgets_of(rows)}

    @property
    def name(self) -> str:
        judged = [] if self.judged == "winner" else [self.judged]
        return ", ".join([self.side, *judged, "1 core" if self.cores == 1 else f"{self.cores} cores"])

    def values(self, budget: float | None, what: str = "errors") -> list[float]:
        """Of each seed; infinite where there is nothing."""
        return [row[what].get(self.judged, math.inf) for row in self.rows.get(budget, [])]

    def median(self, budget: float | None) -> float:
        return median(self.values(budget) or [math.inf])

    def cell(self, budget: float | None, spelled: Callable[[float], str]) -> str:
        """The median, least and largest error; and the seconds where they were more than the budget."""
        errors = self.values(budget)
        if not errors or math.isinf(median(errors)):
            return "nothing" if errors else ""
        least, middle, largest = (
            "nothing" if math.isinf(error) else spelled(error)
            for error in (min(errors), median(errors), max(errors))
        )
        text = f"{middle} [{least}, {largest}]"
        if len(errors) < self.n_seeds:
            text += f", {len(errors)} of {self.n_seeds} seeds"
        took = median(self.values(budget, "seconds"))
        return f"{text} in {took:.1f} s" if budget is None or took > 1.05 * budget else text

    def reaches(self, error: float) -> float | None:
        """The least budget with this median error, or one below."""
        reached = (budget for budget in self.rows if budget and self.median(budget) <= error < math.inf)
        return next(reached, None)


def budgets_of(rows: list[Row]) -> list[float]:
    return sorted({row["budget"] for row in rows}, key=lambda budget: budget or 0)


def lines_of(rows: list[Row]) -> list[Line]:
    lines, n_seeds = [], len({row["seed"] for row in rows})
    for side in SIDES:
        of_side = [row for row in rows if row["side"] == side]
        judged = list(dict.fromkeys(name for row in of_side for name in row["errors"])) or ["winner"]
        for cores in sorted({row["cores"] for row in of_side}):
            own = [row for row in of_side if row["cores"] == cores]
            lines += [Line(side, cores, name, own, n_seeds) for name in judged]
    return lines


def table(rows: list[Row], data: str) -> str:
    """The errors of one data set, and how soon ours are where the best peer ends."""
    lines, budgets = lines_of(rows), [budget for budget in budgets_of(rows) if budget]
    last = budgets[-1]
    peers = [line for line in lines if line.side not in OURS and line.side != TREES]
    best = best_of(peers, last)
    goal = math.inf if best is None else best.median(last)
    spelled = SPELLED[data]
    heads = [ERRORS[data], *(f"{budget:g} s" for budget in budgets), f"the best peer's of {last:g} s in"]
    text = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for line in lines:
        shown = [line.cell(budget, spelled) for budget in budgets]
        if line.side == TREES:
            shown[0] = line.cell(None, spelled)
        reached = line.reaches(goal) if line.side in OURS else None
        text.append(f"| {' | '.join([line.name, *shown, f'{reached:g} s' if reached else ''])} |")
    ours = [line for line in lines if line.side in OURS]
    text += ["", *(compared(ours, peers, budget, spelled) for budget in budgets), ""]
    for cores in sorted({line.cores for line in ours}):
        reached = [(line.reaches(goal), line.name) for line in ours if line.cores == cores]
        soonest = min(((budget, name) for budget, name in reached if budget), default=None)
        if best is not None and soonest is not None:
            text.append(
                f"- What the best peer ({best.name}) reaches in {last:g} s, {spelled(goal)}, we reach in "
                f"{soonest[0]:g} s ({soonest[1]})."
            )
    return "\n".join(text)


def best_of(lines: Sequence[Line], budget: float) -> Line | None:
    """That of the least median error."""
    found = [line for line in lines if line.median(budget) < math.inf]
    return min(found, key=lambda line: line.median(budget), default=None)


def compared(
    ours: Sequence[Line], peers: Sequence[Line], budget: float, spelled: Callable[[float], str]
) -> str:
    """The best of ours, on each number of cores, and of the peers, in words."""
    numbers = sorted({line.cores for line in ours})
    kinds = [("ours", [line for line in ours if line.cores == cores]) for cores in numbers]
    words = []
    for kind, lines in [*kinds, ("the peers", peers)]:
        best = best_of(lines, budget)
        if best is not None:
            words.append(f"{kind} {spelled(best.median(budget))} ({best.name})")
    return f"- {budget:g} s, the best of {' and of '.join(words)}"


def print_table(path: Path) -> None:
    """All that the file has, as Markdown."""
    rows = read(path)
    headings = [row["heading"] for row in rows if "heading" in row]
    results = [row for row in rows if "side" in row]
    n_seeds = len({row["seed"] for row in results})
    print(f"# Test error against time\n\n{ABOUT.format(n_seeds=n_seeds)}\n\n```\n{headings[-1]}\n```")
    for data in dict.fromkeys(row["data"] for row in results):
        print(f"\n## {data}\n\n{table([row for row in results if row['data'] == data], data)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("quality.jsonl"))
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
        print_table(options.results)
    else:
        run_all(options)


if __name__ == "__main__":
    main()
