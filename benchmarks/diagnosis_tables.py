"""The tables of benchmarks/diagnosis.py: known ailments and verdicts, and the share of right verdicts."""

import results

BASELINES = "with the model and the loss of a trivial prediction, from an estimator or from y"
CLASSES = "with the model and the number of classes"
CURVES = "with the curves alone"


def table(figures: results.Figures) -> str:
    """A confusion table as text: ailments are lines, verdicts columns."""
    lines = {ailment: counts for ailment, counts in figures.items() if ailment != "all"}
    verdicts = list(next(iter(lines.values())))
    text = [" " * 22 + "".join(f"{name:>17}" for name in verdicts)]
    text += [
        f"{ailment:22}" + "".join(f"{counts[name]:17d}" for name in verdicts)
        for ailment, counts in lines.items()
    ]
    right, runs = figures["all"]["right"], figures["all"]["runs"]
    return "\n".join([*text, f"{right} of {runs} right: {right / runs:.1%}"])


def markdown() -> str:
    """All tables of the stored figures."""
    found = results.read("diagnosis").items()
    return "```\n" + "\n\n".join(f"{part}\n{table(own.figures)}" for part, own in found) + "\n```"
