"""The page of benchmarks/tables.py: scores by data set and side, normalised scores, ranks, wins and seconds.

A split of a data set counts if all sides have a score for it; the newest recipe of each side does, with the
budget of the page. The score is RMSE, or for classes log-loss.
"""

from collections.abc import Callable, Iterator
from statistics import fmean, geometric_mean, median
from typing import Any

from rendering import table
from tables_sides import BUDGET, ENSEMBLE, LINEAR, REALMLP, REALMLP_CROSS_ENTROPY, SIDES, TREES

LEAST = -1.0  # normalised scores are not below it, so that no data set decides the mean
ABOUT = """\
`benchmarks/tables.py`: means over the splits of each data set, which determine the rows, the candidates and
the weights. A quarter of the rows, at most 10,000, are for the test; at most 10,000 of the others are for
training. kerashp, "MLP search", TabM-D and CatBoost have {budget:g} s for search and fit, without imports;
the others take the time that they need. One run after the other has all cores.

- "linear": ridge or logistic regression, the penalty by cross-validation; one-hot, standardised columns.
- "HistGradientBoosting": scikit-learn's, with its defaults and `categorical_features="from_dtype"`.
- "CatBoost": its defaults; a callback ends it when the time is over.
- "RealMLP-TD": one fit of pytabkit's with its defaults; "cross-entropy": with the two settings that its
  documentation recommends for the log-loss (`val_metric_name="cross_entropy", use_ls=False`).
- "TabM-D": one fit of pytabkit's with its defaults, but the epoch of the least log-loss for classes; no epoch
  is begun that would end after the time.
- "MLP search": random candidates of scikit-learn's MLP with 4 folds, on one-hot and standardised columns.
- "kerashp": the best candidate of a search; "kerashp ensemble": the ensemble of its candidates, in the same
  process. `benchmarks/tables_kerashp.py` has the search.

pytabkit gets means and indicators in the place of missing numbers, since it takes none."""
Row = dict[str, Any]


class Results:
    """What the file has of the newest recipes, by data set, side and split."""

    def __init__(self, rows: list[Row], budget: float = BUDGET):
        own = [row for row in rows if "run" in row and row["budget"] in (None, budget)]
        newest = {row["run"]: max(o["recipe"] for o in own if o["run"] == row["run"]) for row in own}
        own = [row for row in own if row["recipe"] == newest[row["run"]]]
        self.headings = [row for row in rows if "heading" in row]
        self.described = {row["described"]["data"]: row["described"] for row in rows if "described" in row}
        self.rows = {(row["data"], row["side"], row["split"]): row for row in own if "error" not in row}
        self.errors = [row for row in own if "error" in row and key_of(row) not in self.rows]
        self.data = [name for name in self.described if any(data == name for data, *_ in self.rows)]
        self.sides = [side for side in SIDES if any(own == side for _, own, _ in self.rows)]

    def is_regression(self, data: str) -> bool:
        return self.described[data]["classes"] is None

    def row(self, data: str, side: str, split: int) -> Row | None:
        """That of the plain RealMLP for regressions, where its variant is the same."""
        if side == REALMLP_CROSS_ENTROPY and self.is_regression(data):
            side = REALMLP
        return self.rows.get((data, side, split))

    def splits(self, data: str) -> list[int]:
        """Those that all sides have."""
        splits = sorted({split for name, _, split in self.rows if name == data})
        return [split for split in splits if all(self.row(data, side, split) for side in self.sides)]

    @property
    def complete(self) -> list[str]:
        """The data sets with a split that all sides have, and among them the linear model."""
        return [data for data in self.data if LINEAR in self.sides and self.splits(data)]

    def values(self, data: str, side: str, value: Callable[[Row], Any]) -> list[Any]:
        """Of each split that counts."""
        found = [self.row(data, side, split) for split in self.splits(data)]
        return [value(row) for row in found if row is not None]

    def score(self, data: str, side: str, name: str | None = None) -> float:
        """The mean over the splits."""
        first = "rmse" if self.is_regression(data) else "log_loss"
        return fmean(self.values(data, side, lambda row: row["scores"][name or first]))

    def scores(self, data: str) -> dict[str, float]:
        return {side: self.score(data, side) for side in self.sides}

    def errors_of_labels(self, data: str) -> dict[str, float]:
        """RMSE, or the share of wrong labels."""
        if self.is_regression(data):
            return self.scores(data)
        return {side: 1 - self.score(data, side, "accuracy") for side in self.sides}


def key_of(row: Row) -> tuple[str, str, int]:
    return row["data"], row["side"], row["split"]


# Comparisons. A score is a loss: less is better.


def normalised(losses: dict[str, float]) -> dict[str, float] | None:
    """0 for the linear model and 1 for the best; None if the linear model is the best."""
    worst, best = losses[LINEAR], min(losses.values())
    if not best < worst:
        return None
    return {side: max(LEAST, (worst - loss) / (worst - best)) for side, loss in losses.items()}


def ranks(losses: dict[str, float]) -> dict[str, float]:
    """1 for the least loss; the mean rank for equal ones."""
    values = list(losses.values())
    return {
        side: sum(value < loss for value in values) + (values.count(loss) + 1) / 2
        for side, loss in losses.items()
    }


def mean_by_side(dictionaries: list[dict[str, float]]) -> dict[str, float]:
    """The means of the values of each key; nothing of nothing."""
    names = dictionaries[0] if dictionaries else {}
    return {side: fmean(own[side] for own in dictionaries) for side in names}


def wins(losses: list[dict[str, float]], side: str, peer: str) -> int:
    """On how many data sets the loss is less."""
    return sum(own[side] < own[peer] for own in losses)


# The parts of the page.


def data_text(found: Results) -> Iterator[str]:
    heads = ["data", "from", "target", "classes", "rows", "training", "test", "numbers", "categories"]
    heads += ["most categories", "missing", "splits"]
    body = [
        [
            about["data"],
            about["source"],
            about["target"],
            str(about["classes"] or ""),
            *(f"{about[key]:,}" for key in ("rows", "training_rows", "test_rows", "numbers", "categories")),
            str(about["largest_category"] or ""),
            f"{about['missing']:.1%}" if about["missing"] else "",
            str(len(found.splits(about["data"]))),
        ]
        for about in found.described.values()
    ]
    yield "## Data"
    yield (
        '"Most categories" are those of one column; "missing" is the share of all values; "splits" are those '
        "that all sides have."
    )
    yield table(heads, body)


def bold_least(losses: dict[str, float], sides: list[str], spelled: Callable[[float], str]) -> list[str]:
    """The cells of a line, the least in bold."""
    least = spelled(min(losses[side] for side in sides))
    return [f"**{text}**" if text == least else text for text in (spelled(losses[side]) for side in sides)]


def scores_text(found: Results) -> Iterator[str]:
    names = {
        "RMSE": [data for data in found.complete if found.is_regression(data)],
        "log-loss": [data for data in found.complete if not found.is_regression(data)],
    }
    yield "## Scores"
    for head, own in names.items():
        body = [[data, *bold_least(found.scores(data), found.sides, "{:#.4g}".format)] for data in own]
        if body:
            yield table([head, *found.sides], body)
    body = [
        [data, *bold_least(found.errors_of_labels(data), found.sides, "{:.2%}".format)]
        for data in names["log-loss"]
    ]
    if body:
        yield table(["wrong labels", *found.sides], body)


def summary(found: Results) -> list[list[str]]:
    """A line for each side: normalised score, ranks, wins and seconds."""
    losses = [found.scores(data) for data in found.complete]
    labels = [found.errors_of_labels(data) for data in found.complete]
    share = mean_by_side([own for own in map(normalised, losses) if own])
    rank, rank_of_labels = (mean_by_side([ranks(own) for own in kind]) for kind in (losses, labels))
    neural = mean_by_side([ranks(among_neural(own)) for own in losses])
    seconds = {
        side: [
            took for data in found.complete for took in found.values(data, side, lambda row: row["seconds"])
        ]
        for side in found.sides
    }
    return [
        [
            side,
            f"{share[side]:.3f}" if share else "",
            f"{rank[side]:.2f}",
            f"{neural[side]:.2f}" if side in neural else "",
            f"{rank_of_labels[side]:.2f}",
            "" if side == TREES or TREES not in rank else f"{wins(losses, side, TREES)} of {len(losses)}",
            f"{median(seconds[side]):.1f}",
            f"{max(seconds[side]):.1f}",
        ]
        for side in found.sides
    ]


def among_neural(losses: dict[str, float]) -> dict[str, float]:
    return {side: loss for side, loss in losses.items() if SIDES[side].is_neural}


def summary_text(found: Results) -> Iterator[str]:
    losses = [found.scores(data) for data in found.complete]
    n_best = sum(normalised(own) is None for own in losses)
    left_out = f", but for {n_best} on which the linear model is the best" if n_best else ""
    n_splits = sum(len(found.splits(data)) for data in found.complete)
    yield "## Summary"
    yield (
        f"{len(found.complete)} data sets with {n_splits} complete splits. The normalised score is 0 for the "
        f"linear model, 1 for the best side, at least {LEAST:g}; its mean is over all data sets{left_out}. "
        'Ranks are those of the mean scores on a data set; "neural": among the networks; "labels": with the '
        "share of wrong labels in the place of the log-loss."
    )
    heads = ["", "normalised", "mean rank", "neural", "labels", f"better than {TREES}", "seconds, median"]
    yield table([*heads, "largest"], summary(found))
    yield "\n".join([*reach(found, losses), *out_of_time(found)])


def reach(found: Results, losses: list[dict[str, float]]) -> Iterator[str]:
    """What kerashp was to reach, as far as its sides and the peers are there."""
    if ENSEMBLE not in found.sides:
        return
    neural = mean_by_side([ranks(among_neural(own)) for own in losses])
    best = min(neural, key=lambda side: neural[side])
    met = "met" if neural[ENSEMBLE] == neural[best] else f"**not met** ({best}: {neural[best]:.2f})"
    yield f"- {ENSEMBLE} has the best mean rank of the networks: {met}, {neural[ENSEMBLE]:.2f}."
    for peer in (TREES, REALMLP, REALMLP_CROSS_ENTROPY):
        if peer not in found.sides:
            continue
        won = wins(losses, ENSEMBLE, peer)
        met = "met" if 2 * won >= len(losses) else "**not met**"
        yield f"- {ENSEMBLE} is better than {peer} on half of the data sets: {met}, {won} of {len(losses)}."


def out_of_time(found: Results) -> Iterator[str]:
    """Of the sides that would have gone on."""
    for side in found.sides:
        runs = [
            row["details"] for data in found.complete for row in found.values(data, side, lambda row: row)
        ]
        ended = [details["out_of_time"] for details in runs if "out_of_time" in details]
        if ended:
            yield f"- The time ended {sum(ended)} of {len(ended)} runs of {side}, which would have gone on."


def selection_text(found: Results) -> Iterator[str]:
    """Test scores against those of the held-out rows by which a side selected."""
    ratios = {side: ratios_of(found, side) for side in found.sides}
    ratios = {side: own for side, own in ratios.items() if own}
    if not ratios:
        return
    body = [
        [data, *(f"{own[data]:.3f}" if data in own else "" for own in ratios.values())]
        for data in found.complete
    ]
    body.append(["median", *(f"{median(own.values()):.3f}" for own in ratios.values())])
    yield "## Test score by held-out score"
    yield (
        "The test score divided by the score of the held-out rows that the side selected by, geometric means "
        "over the splits: above 1 the selection was optimistic. Sides without held-out rows are left out."
    )
    yield table(["", *ratios], body)


def ratios_of(found: Results, side: str) -> dict[str, float]:
    """By data set, of the runs that have a held-out score."""
    ratios = {}
    for data in found.complete:
        first = "rmse" if found.is_regression(data) else "log_loss"
        rows = [row for row in found.values(data, side, lambda row: row) if row["validation"]]
        if rows:
            ratios[data] = geometric_mean(row["scores"][first] / row["validation"] for row in rows)
    return ratios


def missing_text(found: Results) -> Iterator[str]:
    """Runs that failed."""
    if found.errors:
        yield "## Failed runs"
        heads = ["data", "side", "split", "error"]
        yield table(heads, [[*map(str, key_of(row)), row["error"]] for row in found.errors])


def conditions_text(found: Results) -> str:
    """Where the last runs were made, and the peers' versions."""
    last = found.headings[-1]
    peers = ", ".join(f"{name} {version}" for name, version in last["conditions"]["peers"].items())
    return f"```\n{last['heading']}\npeers: {peers}\n```"


def markdown(rows: list[Row], budget: float = BUDGET) -> str:
    """All results, as Markdown."""
    found = Results(rows, budget)
    text = ["# Tables", ABOUT.format(budget=budget)]
    if found.headings:
        text.append(conditions_text(found))
    if found.complete:
        text += summary_text(found)
        text += scores_text(found)
        text += selection_text(found)
    text += data_text(found)
    text += missing_text(found)
    return "\n\n".join(text) + "\n"
