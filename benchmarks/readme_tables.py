"""The tables and figures of README, of `docs/` and beside the benchmarks, from the files in `results/`.

python benchmarks/readme_tables.py [--check]

README and the pages in `docs/` have them between `<!-- table: NAME -->` or `<!-- figure: NAME -->` and
`<!-- end -->`; a table may stand on several pages. `--check` writes nothing, and ends with an error if a file
differs.
"""

import argparse
import re
import sys
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

import defaults_tables
import diagnosis_tables
import quality_tables
import results
import tables_report
from rendering import (
    Measurements,
    conditions,
    conditions_of_rows,
    duration,
    listing,
    number,
    paragraph,
    table,
    where,
)

BENCHMARKS = Path(__file__).parent
README = BENCHMARKS.parent / "README.md"
DOCS = BENCHMARKS.parent / "docs"
MARKED = re.compile(r"(<!-- (table|figure): ([\w ]+) -->)(.*?)(<!-- end -->)", re.DOTALL)


# The tables of README and of the documentation.


def search() -> str:
    """Whole searches beside other libraries."""
    found = results.read("search")
    sides = {
        "scikeras": "scikeras",
        "keras-tuner": "keras-tuner",
        "MLP": "scikit-learn's `MLPRegressor`, 2 processes",
        "scikit-learn": "scikit-learn's search over kerashp's estimator",
    }
    parts = {count: found[f"housing, {count} candidates, 100 epochs"] for count in (10, 100)}
    cached = any("cached" in part.figures for part in parts.values())
    heads = ["candidates", "kerashp", *(["programs cached on disk"] if cached else []), *sides.values()]
    body = []
    for count, part in parts.items():
        cells = [f"**{duration(part.figures['kerashp']['seconds'])}**"]
        cells += [duration(part.figures["cached"]["seconds"])] if "cached" in part.figures else [""] * cached
        cells += [beside(part.figures.get(side, {}), strong=side == "scikeras") for side in sides]
        body.append([str(count), *cells])
    note = r"\* measured on some of the fits, and scaled to all of them."
    text = [table(heads, body), paragraph(note, where(conditions(found)))]
    return "\n\n".join([*text, paragraph(digits_search(found), sizes_of_search(found))])


def beside(own: dict[str, Any], strong: bool = False) -> str:
    """A peer's seconds, and how often they are kerashp's."""
    if not own:
        return ""
    star = "*" if own["fits"] < own["of"] else ""
    took = f"{duration(own['seconds'])}{star}, " if own.get("seconds") else ""
    ratio = f"{number(own['times'])} times"
    return f"{took}{f'**{ratio}**' if strong else ratio}{'' if took else star}"


def digits_search(found: Measurements) -> str:
    own = found["digits, 10 candidates, 100 epochs"].figures
    ours, theirs = duration(own["kerashp"]["seconds"]), duration(own["scikeras"]["seconds"])
    cached = f" ({duration(own['cached']['seconds'])} with programs cached)" if "cached" in own else ""
    return (
        f"On digits, with dropout and Adam, most of kerashp's time is compiling: {ours}{cached}, against "
        f"{theirs}* of scikeras, {number(own['scikeras']['times'])} times as long."
    )


def sizes_of_search(found: Measurements) -> str:
    """How the time grows with the candidates."""
    sizes = (10, 100, 1000)
    own = {size: found[f"housing, {size} candidates, 10 epochs"].figures["kerashp"] for size in sizes}
    first, *others = (f"{size:,} {{}}take {duration(own[size]['seconds'])}" for size in sizes)
    taken = listing([first.format("candidates "), *(other.format("") for other in others)])
    gigabytes = number(own[1000]["MB"] / 1024)
    return f"With 10 epochs on housing, {taken} ({3 * 1000:,} fits, {gigabytes} GB)."


def zoo() -> str:
    """Networks of many kinds beside Keras and scikit-learn's search."""
    found = results.read("zoo")
    names = [part.removesuffix(", epoch") for part in found if part.endswith(", epoch")]
    states = {
        "epoch": {"cold": "epoch, nothing compiled", "cached": "compiled for another model", "warm": "again"},
        "search": {"cold": "search, nothing compiled", "cached": "again"},
    }
    body = [
        [
            name,
            *(
                f"{duration(own[state]['seconds'])}, {number(1 / own[state]['ratio'])} times"
                for part in states
                for own in [found[f"{name}, {part}"].figures]
                for state in states[part]
            ),
        ]
        for name in names
    ]
    heads = ["network", *(head for own in states.values() for head in own.values())]
    return "\n\n".join([table(heads, body), paragraph(where(conditions(found)))])


def small_data() -> str:
    """A search on small data beside scikit-learn's MLP, on each backend that was measured."""
    found = results.read("small_data")
    by_backend = {
        backend: [own.figures for part, own in found.items() if part.endswith(f", {backend}")]
        for backend in ("tensorflow", "jax")
    }
    first = {part: own.settings for part, own in found.items() if part.endswith(", tensorflow")}
    names = [
        f"{part.removesuffix(', tensorflow')} ({settings['rows']:,} x {settings['features']})"
        for part, settings in first.items()
    ]
    body = small_data_lines(by_backend["tensorflow"], "kerashp")
    if len(by_backend["jax"]) == len(names):
        body += small_data_lines(by_backend["jax"], "kerashp on JAX")
    theirs = [duration(figures["MLP"]["seconds"]) for figures in by_backend["tensorflow"]]
    body.append(["scikit-learn's MLP, 2 processes", *theirs])
    return "\n\n".join([table(["", *names], body), paragraph(where(conditions(found)))])


def small_data_lines(figures: list[results.Figures], kerashp: str) -> list[list[str]]:
    """Seconds and ratios of one backend on all data sets."""
    sides = {
        "first search of a process": "nothing cached, first search of a process",
        "new process, programs cached": "a new process, programs cached on disk",
        "second search": "a second search in the process",
    }
    return [
        [
            f"{kerashp}, {name}",
            *(f"{duration(own[side]['seconds'])}, **{number(own[side]['times'])} times**" for own in figures),
        ]
        for side, name in sides.items()
    ]


def fit() -> str:
    """An epoch of `kerashp.fit`, and 100 of a new model."""
    found = results.read("fit")
    body = []
    for part, own in found.items():
        ours, keras, mlp = (own.figures.get(side) for side in ("kerashp.fit", "Model.fit", "MLPRegressor"))
        name = part.replace("new model", "new model, compiling included")
        cells = [name, duration(ours["seconds"]), duration(keras["seconds"])]
        cells += [f"**{number(keras['times'])} times**"]
        cells += [duration(mlp["seconds"]), f"{number(mlp['times'])} times"] if mlp else ["", ""]
        body.append(cells)
    heads = ["network", "`kerashp.fit`", "`model.fit`", "ratio", "scikit-learn's `MLPRegressor`", "ratio"]
    return "\n\n".join([table(heads, body), paragraph(where(conditions(found)))])


def quality() -> str:
    """The best of kerashp's searches and the best peer at each budget, on one core."""
    spelled = {"housing": "{:.3f}".format, "digits": "{:.1%}".format}
    names = {"housing": "California housing, RMSE ($100,000)", "digits": "Digits, wrong labels"}
    body = []
    for data, name in names.items():
        best = quality_tables.best_errors(quality_rows(), data, n_cores=1)
        texts = [[spelled[data](error) for error in errors] for errors in best.values()]
        ours, peers = zip(*(strongest(pair) for pair in texts), strict=True)
        body += [[f"{name}: kerashp", *ours], ["the best peer", *peers]]
    heads = ["", *(f"{budget:g} s" for budget in best)]
    return "\n\n".join([table(heads, body), paragraph(where(conditions_of_rows(quality_rows())))])


def strongest(pair: list[str]) -> list[str]:
    """Both errors, the least in bold."""
    least = min(pair, key=lambda text: float(text.rstrip("%")))
    return [f"**{text}**" if text == least else text for text in pair]


def quality_two_cores() -> str:
    """What kerashp has after 15 s on two cores."""
    errors = {
        data: quality_tables.best_errors(quality_rows(), data, n_cores=2)[15.0][0]
        for data in ("housing", "digits")
    }
    return f"{errors['housing']:.3f}, {errors['digits']:.1%}"


def quality_rows() -> list[dict[str, Any]]:
    return results.read_rows(results.FOLDER / "quality.jsonl")


def defaults() -> str:
    """Scores with the defaults of all estimators, on some of the data sets, and their mean."""
    found = defaults_tables.Results(defaults_rows())
    sides = {
        defaults_tables.OURS: "kerashp, raw data",
        defaults_tables.MLP: "scikit-learn's MLP, raw",
        defaults_tables.MLP_SCALED: "the same, scaled X and y",
        defaults_tables.LINEAR_SCALED: "linear, scaled",
        defaults_tables.TREES: "HistGradientBoosting",
    }
    shown = {name: name for name in ("iris", "wine", "digits", "diabetes", "Friedman 1")}
    shown["like housing"] = "features of 1e-3 to 1e5"
    scores = {
        name: {side: found.score("defaults", name, side) for side in sides}
        for name in found.names("defaults")
    }
    means = {side: sum(own[side] for own in scores.values()) / len(scores) for side in sides}
    body = [[name, *score_cells(scores[key])] for key, name in shown.items()]
    body.append([f"mean of {len(scores)} data sets", *score_cells(means)])
    measured = paragraph(where(conditions_of_rows(defaults_rows())))
    return "\n\n".join([table(["", *sides.values()], body), measured])


def score_cells(scores: dict[str, float]) -> list[str]:
    """Scores of a line, the best in bold; none where a score is far below that of a constant."""
    texts = [f"{score:.3f}" if score >= 0 else f"{score:.2g}" for score in scores.values()]
    best = f"{max(scores.values()):.3f}"
    shown = [f"**{text}**" if text == best else text for text in texts]
    return ["" if score < -10 else text for score, text in zip(scores.values(), shown, strict=True)]


def searched() -> str:
    """The means of searches of the recommended space."""
    found = defaults_tables.Results(defaults_rows())
    scores = [found.searched(name) for name in found.names("searched")]
    sides = ("SEARCHED", "ENSEMBLE", "OURS", "MLP_SEARCHED")
    best, ensemble, ours, mlp = (
        f"{sum(own[getattr(defaults_tables, side)] for own in scores) / len(scores):.3f}" for side in sides
    )
    return paragraph(
        "A `RandomizedSearchCV` over `recommended_space` is the next step.",
        f"With {defaults_tables.N_CANDIDATES} candidates, on one fold of each data set, the mean is {best}",
        f"for the best candidate and {ensemble} for the ensemble, against {ours} for the defaults and",
        f"{mlp} for the same search with scikit-learn's MLP.",
    )


def defaults_rows() -> list[dict[str, Any]]:
    return results.read_rows(results.FOLDER / "defaults.jsonl")


def fixed_costs() -> str:
    """The sentences on a first fit, a search of the recommended space, and an epoch."""
    found = results.read("fixed_costs")
    fits, searches = found["fit"].figures, found["search"].figures
    beyond = found["epoch"].figures["an epoch beyond its steps"]["seconds"]
    new, cached = (duration(fits[side]["seconds"]) for side in ("nothing cached", "programs cached"))
    cold, warm = (duration(searches[side]["seconds"]) for side in ("nothing cached", "programs cached"))
    groups = searches["nothing cached"]["groups"]
    return paragraph(
        "What does not train (`benchmarks/fixed_costs.py`): the first `KerasMLPRegressor().fit` of a process",
        f"takes {new} on diabetes, imports not counted, and {cached} with programs cached on disk;",
        f"20 candidates of `recommended_space` on digits (5 folds, {groups} groups) take {cold} and {warm};",
        f"an epoch costs {duration(beyond)} beyond its steps.",
        where(conditions(found)),
    )


def gpu() -> str:
    """What was measured on a GPU: gpu.md has it, since no machine with one renders these tables."""
    lines = (BENCHMARKS / "gpu.md").read_text(encoding="utf-8").splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("|"))
    return "\n".join(takewhile(lambda line: line.startswith("|"), lines[first:]))


def gpu_search() -> str:
    """The seconds of the textbook's search on a GPU, and on two cores."""
    row = next(line for line in gpu().splitlines() if line.startswith("| textbook search"))
    _, _, on_gpu, on_cores, *_ = (cell.strip() for cell in row.split("|"))
    return f"{on_gpu} there, and {on_cores} on two CPU cores"


def diagnosis(information: str) -> Callable[[], str]:
    """The share of right verdicts on the half of the runs that chose no threshold."""

    def share() -> str:
        counts = results.read("diagnosis")[f"kept half, {information}"].figures["all"]
        return f"{counts['right'] / counts['runs']:.0%}"

    return share


PARTS: dict[str, Callable[[], str]] = {
    "search": search,
    "small data": small_data,
    "zoo": zoo,
    "quality": quality,
    "quality on two cores": quality_two_cores,
    "defaults": defaults,
    "searched": searched,
    "fit": fit,
    "fixed costs": fixed_costs,
    "gpu": gpu,
    "gpu search": gpu_search,
    "diagnosis": diagnosis(diagnosis_tables.BASELINES),
    "diagnosis by curves": diagnosis(diagnosis_tables.CURVES),
}
DIAGNOSIS_PARTS = {"verdicts": diagnosis_tables.markdown}


# The files.


def filled(text: str, parts: dict[str, Callable[[], str]]) -> str:
    """The text with each part between its markers."""

    def part(match: re.Match[str]) -> str:
        begin, kind, name, _, end = match.groups()
        space = "\n" if kind == "table" else ""
        return f"{begin}{space}{parts[name]()}{space}{end}"

    return MARKED.sub(part, text)


def pages() -> list[Path]:
    """README, and the pages of the documentation that have marks."""
    written = [page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts]
    return [README, *(page for page in written if MARKED.search(page.read_text(encoding="utf-8")))]


def files() -> dict[Path, str]:
    """The files with tables, as they should be."""
    verdicts = BENCHMARKS / "diagnosis.md"
    return {
        **{page: filled(page.read_text(encoding="utf-8"), PARTS) for page in pages()},
        verdicts: filled(verdicts.read_text(encoding="utf-8"), DIAGNOSIS_PARTS),
        BENCHMARKS / "quality.md": quality_tables.markdown(quality_rows()),
        BENCHMARKS / "defaults.md": defaults_tables.markdown(defaults_rows()),
        **tables_page(results.FOLDER / "tables.jsonl"),
    }


def tables_page(stored: Path) -> dict[Path, str]:
    """The page of benchmarks/tables.py, once there are results."""
    rows = results.read_rows(stored)
    return {BENCHMARKS / "tables.md": tables_report.markdown(rows)} if rows else {}


def current(path: Path) -> str:
    """The text of a file, which may be missing."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; an error if a file differs")
    options = parser.parse_args()
    for path, text in files().items():
        if text == current(path):
            continue
        if options.check:
            sys.exit(f"{path.name} differs from the figures in benchmarks/results; run `make bench-tables`")
        path.write_text(text, encoding="utf-8")
        print(f"{path.name} rewritten")


if __name__ == "__main__":
    main()
