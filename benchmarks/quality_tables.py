"""The tables of benchmarks/quality.py: errors by side and budget, and how soon ours are the best peer's."""

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

# Name: the module's function and its first arguments.
OURS = {
    "RandomizedSearchCV": "random",
    "HalvingRandomSearchCV": "halving",
    "CoarseToFineSearchCV": "coarse_to_fine",
    'OracleSearchCV("bayesian")': "bayesian",
    "OptunaSearchCV": "tree_parzen",
    "OptunaSearchCV, pruned": "tree_parzen_pruned",
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


def markdown(rows: list[Row]) -> str:
    """All results, as Markdown."""
    headings = [row["heading"] for row in rows if "heading" in row]
    results = [row for row in rows if "side" in row]
    n_seeds = len({row["seed"] for row in results})
    parts = [f"# Test error against time\n\n{ABOUT.format(n_seeds=n_seeds)}\n\n```\n{headings[-1]}\n```"]
    for data in dict.fromkeys(row["data"] for row in results):
        parts.append(f"## {data}\n\n{table([row for row in results if row['data'] == data], data)}")
    return "\n\n".join(parts) + "\n"


def best_errors(rows: list[Row], data: str, n_cores: int) -> dict[float, tuple[float, float]]:
    """The least median errors of ours and of the peers, without trees, on so many cores by budget."""
    own = [row for row in rows if row.get("data") == data]
    lines = [line for line in lines_of(own) if line.cores == n_cores and line.side != TREES]
    ours, peers = ([line for line in lines if (line.side in OURS) is kerashp] for kerashp in (True, False))
    budgets = [budget for budget in budgets_of(own) if budget]
    return {
        budget: tuple(min((line.median(budget) for line in kind), default=math.inf) for kind in (ours, peers))
        for budget in budgets
    }
