"""The tables of benchmarks/defaults.py: scores, seconds, and what they reach."""

from collections.abc import Iterator
from statistics import mean, median
from typing import Any

from defaults_data import NAMES

N_CANDIDATES, N_INNER_FOLDS = 20, 3
SEARCHED_FOLDS = 1  # of the five of each seed
SPEED_RUNS, SPEED_ROWS = 9, 500
OURS, OURS_SCALED = "kerashp, raw", "kerashp, scaled"
MLP, MLP_SCALED = "MLP, raw", "MLP, scaled"
LINEAR, LINEAR_SCALED, TREES = "linear, raw", "linear, scaled", "HistGradientBoosting"
SEARCHED, ENSEMBLE, MLP_SEARCHED = "kerashp, best", "kerashp, ensemble", "MLP, best"
SIDES = {
    "defaults": [OURS, OURS_SCALED, MLP, MLP_SCALED, LINEAR, LINEAR_SCALED, TREES],
    "searched": [SEARCHED, ENSEMBLE, MLP_SEARCHED],
    "speed": [OURS, MLP, MLP_SCALED],
}
ABOUT = """\
`benchmarks/defaults.py`: means of 5 folds x {n_seeds} seeds, which determine the division of the rows and
the weights; the accuracy of classifiers, the R2 of regressors, all with their defaults. "Scaled": features,
and targets of regressors, are scaled by `StandardScaler`; "raw": they are not. "Linear" is
`LogisticRegression(max_iter=1000)` or `Ridge`. Seconds are medians of one fit; the first fit of kerashp
compiles."""
SEARCH_ABOUT = """\
`RandomizedSearchCV(recommended_space(...), n_iter={n_candidates})` and its ensemble, compared with the same
number of candidates of scikit-learn's MLP on scaled data, also over depths, widths, learning rates,
penalties and batch sizes; both with {n_inner} inner folds, on all cores. All figures are means over the
first fold of each seed."""
Row = dict[str, Any]


class Results:
    """What the file has, by part, data set and side."""

    def __init__(self, rows: list[Row]):
        self.headings = [row["heading"] for row in rows if "heading" in row]
        self._rows = [row for row in rows if "part" in row]
        self.n_seeds = len({row["seed"] for row in self._rows if row["part"] == "defaults"})

    def of(self, part: str, name: str, side: str) -> list[Row]:
        return [row for row in self._rows if (row["part"], row["data"], row["side"]) == (part, name, side)]

    def names(self, part: str) -> list[str]:
        """The data sets on which all sides of a part were run."""
        return [name for name in NAMES if all(self.of(part, name, side) for side in SIDES[part])]

    def score(self, part: str, name: str, side: str, n_folds: int | None = None) -> float:
        return mean(mean(row["scores"][:n_folds]) for row in self.of(part, name, side))

    def seconds(self, part: str, name: str, side: str) -> float:
        return median(took for row in self.of(part, name, side) for took in row["seconds"])

    def searched(self, name: str) -> dict[str, float]:
        """Scores of the searches, and of the defaults on the same rows."""
        seeds = {row["seed"] for row in self.of("searched", name, ENSEMBLE)}
        scores = {side: self.score("searched", name, side) for side in SIDES["searched"]}
        for side in (OURS, MLP_SCALED):
            rows = [row for row in self.of("defaults", name, side) if row["seed"] in seeds]
            if rows:
                scores[side] = mean(mean(row["scores"][:SEARCHED_FOLDS]) for row in rows)
        return scores


def lines(heads: list[str], body: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ["---"] * len(heads), *body])


def with_mean(scores: dict[str, dict[str, float]], sides: list[str]) -> str:
    """A table of scores, a data set a line, and the mean of all."""
    body = [[name, *(f"{own[side]:.3f}" for side in sides)] for name, own in scores.items()]
    body.append(["mean", *(f"{mean(own[side] for own in scores.values()):.3f}" for side in sides)])
    return lines(["score", *sides], body)


def reached(goal: str, gaps: dict[str, float], least: float = 0.0) -> str:
    """Whether no gap is below what is allowed; the smallest, or those that are."""
    short = {name: gap for name, gap in gaps.items() if gap < least}
    worst = min(gaps, key=lambda name: gaps[name])
    if not short:
        return f"- {goal}: met, by {gaps[worst]:+.3f} ({worst}) at the least."
    return f"- {goal}: **not met**: " + ", ".join(f"{name} {gap:+.3f}" for name, gap in short.items()) + "."


def gaps_of(scores: dict[str, dict[str, float]], side: str, peer: str) -> dict[str, float]:
    return {name: own[side] - own[peer] for name, own in scores.items()}


def better_in_mean(scores: dict[str, dict[str, float]], side: str, peer: str) -> dict[str, float]:
    return {"mean": mean(gaps_of(scores, side, peer).values())}


def defaults_text(results: Results) -> Iterator[str]:
    """Scores and seconds at defaults, and what they reach."""
    names, sides = results.names("defaults"), SIDES["defaults"]
    scores = {name: {side: results.score("defaults", name, side) for side in sides} for name in names}
    yield "## Defaults"
    yield with_mean(scores, sides)
    unlike = {name: -abs(gap) for name, gap in gaps_of(scores, OURS, OURS_SCALED).items()}
    yield "\n".join(
        [
            reached("At least MLP, scaled, less 0.01", gaps_of(scores, OURS, MLP_SCALED), -0.01),
            reached("Better than MLP, scaled, in the mean", better_in_mean(scores, OURS, MLP_SCALED)),
            reached("Nowhere 0.03 below linear, raw", gaps_of(scores, OURS, LINEAR), -0.03),
            reached("Nowhere 0.03 below linear, scaled", gaps_of(scores, OURS, LINEAR_SCALED), -0.03),
            reached("On raw data the same as on scaled data to 0.01", unlike, -0.01),
        ]
    )
    seconds = [
        [name, *(f"{results.seconds('defaults', name, side):.2f}" for side in sides)] for name in names
    ]
    yield lines(["seconds of a fit", *sides], seconds)


def speed_text(results: Results) -> Iterator[str]:
    """Seconds of fits that are compiled, and what they reach."""
    sides, kinds = SIDES["speed"], ("classification", "regression")
    took = {kind: {side: results.seconds("speed", kind, side) for side in sides} for kind in kinds}
    yield f"## A fit on {SPEED_ROWS} rows, compiled beforehand"
    body = [[kind, *(f"{own[side]:.3f}" for side in sides)] for kind, own in took.items()]
    yield lines([f"seconds, medians of {SPEED_RUNS}", *sides], body)
    saved = {f"{kind} than {peer}": own[peer] - own[OURS] for kind, own in took.items() for peer in sides[1:]}
    yield reached("Less time than the MLP, seconds", saved)


def searched_text(results: Results) -> Iterator[str]:
    """Scores and seconds of searches, and what they reach."""
    names, sides = results.names("searched"), SIDES["searched"]
    scores = {name: results.searched(name) for name in names}
    peers = (OURS, MLP_SEARCHED)
    yield "## Searched"
    yield SEARCH_ABOUT.format(n_candidates=N_CANDIDATES, n_inner=N_INNER_FOLDS)
    yield with_mean(scores, [*sides, OURS, MLP_SCALED])
    below = [reached(f"Nowhere 0.02 below {peer}", gaps_of(scores, ENSEMBLE, peer), -0.02) for peer in peers]
    better = [
        reached(f"Better than {peer}, in the mean", better_in_mean(scores, ENSEMBLE, peer)) for peer in peers
    ]
    yield "\n".join(better + below)
    seconds = [
        [name, *(f"{results.seconds('searched', name, side):.1f}" for side in sides)] for name in names
    ]
    yield lines(["seconds of a search", *sides], seconds)


def markdown(rows: list[Row]) -> str:
    """All results, as Markdown."""
    results = Results(rows)
    text = ["# Defaults and the recommended space", ABOUT.format(n_seeds=results.n_seeds)]
    text.append(f"```\n{results.headings[0]}\n```")
    if results.names("defaults"):
        text += defaults_text(results)
    if results.of("speed", "regression", OURS):
        text += speed_text(results)
    if results.names("searched"):
        text += searched_text(results)
    return "\n\n".join(text) + "\n"
