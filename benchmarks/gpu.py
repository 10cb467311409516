"""What a GPU is worth: searches, populations and fits, each line by itself and printed at once.

python benchmarks/gpu.py [--lines NAME ...] [--minutes 8] [--small]

Each line has a process of its own, which is stopped when the minutes are over: the lines before it are kept.
The sides of a line run in turn. `--small` takes a few fits and epochs, to try the script itself on any
machine; it stores nothing.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import results
from common import heading, housing, in_turn, run_script

SEARCH = str(Path(__file__).with_name("search.py"))
RUNS = 3
REACH = {
    "textbook search": "10 s, 5 s with cached programs",
    "1,000 candidates": "60 s",
    "population of 30": "1.5 times by hand",
    "population of 300": "1.3 times by hand",
    "population of 3,000": "1.3 times by hand, under 8 GB",
    "fit": "150 times Model.fit",
    "digits, dropout": "20 times scikeras",
}
POPULATIONS = {  # members and the network, or a few members to try it
    "population of 30": (30, 3, (1, 30)),
    "population of 300": (300, 4, (1, 30)),
    "population of 3,000": (3000, 5, (3, 100)),
}


def searched(limit: float, *arguments: Any, sides: tuple[str, ...]) -> results.Figures:
    """The seconds of sides of `search.py`, each in a new process; those that the time allows."""
    ends, found = time.monotonic() + limit, {}
    with tempfile.TemporaryDirectory() as cache:
        for side in sides:
            left = ends - time.monotonic()
            try:
                own = run_script(SEARCH, *arguments, "--child", side, cache=cache, limit=left)
            except subprocess.TimeoutExpired:
                if not found:
                    raise
                break
            found[side] = {
                name: own[name] for name in ("seconds", "MB", "parts", "fits", "of") if name in own
            }
    return found


def textbook(limit: float, small: bool) -> results.Figures:
    n_iter, epochs = (2, 2) if small else (10, 100)
    return searched(limit, "--n-iter", n_iter, "--epochs", epochs, sides=("kerashp", "cached"))


def thousand(limit: float, small: bool) -> results.Figures:
    n_iter, epochs = (4, 2) if small else (1000, 100)
    return searched(limit, "--n-iter", n_iter, "--epochs", epochs, sides=("kerashp",))


def digits(limit: float, small: bool) -> results.Figures:
    n_iter, epochs = (2, 2) if small else (100, 100)
    arguments = ("--data", "digits", "--n-iter", n_iter, "--epochs", epochs)
    return searched(limit, *arguments, sides=("kerashp", "scikeras"))


def population(line: str, small: bool) -> results.Figures:
    """Milliseconds a member and epoch of a population, and of the loop by hand."""
    import population as benchmark

    X, y, _ = housing()
    n_members, few, network = POPULATIONS[line]
    n_members = few if small else n_members
    sides = {
        "population": benchmark.population(n_members, network, X, y),
        "by hand": benchmark.by_hand(n_members, network, X, y),
    }
    return {side: {"seconds": took / 2 / n_members} for side, took in in_turn(sides, RUNS).items()}


def fits(small: bool) -> results.Figures:
    """Milliseconds an epoch of `kerashp.fit` and of `Model.fit`."""
    import fit as benchmark

    X, y, _ = housing(320 if small else 7680)
    network = benchmark.NETWORKS["1 x 30"]
    sides = {"kerashp.fit": benchmark.by_us(network, X, y), "Model.fit": benchmark.by_keras(network, X, y)}
    times = in_turn(sides, RUNS)
    return {side: {"seconds": took / benchmark.EPOCHS.get(side, 1)} for side, took in times.items()}


SEARCHES = {"textbook search": textbook, "1,000 candidates": thousand, "digits, dropout": digits}
CHILDREN = {
    **{line: partial(population, line) for line in POPULATIONS},
    "fit": fits,
}


def measured(line: str, limit: float, small: bool) -> results.Figures:
    """The figures of a line by side."""
    if line in SEARCHES:
        return SEARCHES[line](limit, small)
    arguments = ["--child", line, *(["--small"] if small else [])]
    found: results.Figures = run_script(__file__, *arguments, limit=limit)
    return found


def card() -> str:
    """The name of the first GPU; none where there is none."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "no GPU"
    return listed.splitlines()[0]


def shown(line: str, found: results.Figures) -> str:
    """A line's sides, their ratio to the first, and what is to be reached."""
    first = next(iter(found.values()))["seconds"]
    sides = ", ".join(
        f"{side} {own['seconds']:.4g} s" + (f" ({own['seconds'] / first:.1f} times)" if index else "")
        for index, (side, own) in enumerate(found.items())
    )
    return f"{line:22s} {sides}  (reach: {REACH[line]})"


def main() -> None:
    """Print a line at a time, and store its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", nargs="+", choices=REACH, default=list(REACH))
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--small", action="store_true", help="a few fits and epochs; nothing is stored")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        warnings.simplefilter("ignore")
        print(json.dumps(CHILDREN[options.child](options.small)))
        return
    print(heading(1, card()), flush=True)
    ends = time.monotonic() + 60 * options.minutes
    for line in options.lines:
        left = ends - time.monotonic()
        try:
            found = measured(line, left, options.small)
        except subprocess.TimeoutExpired:
            print(f"{line:22s} not reached in the {left:.0f} s that were left", flush=True)
            continue
        print(shown(line, found), flush=True)
        if not options.small:
            results.write("gpu", line, found, 1 if line in SEARCHES else RUNS, card=card())


if __name__ == "__main__":
    main()
