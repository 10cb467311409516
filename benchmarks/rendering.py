"""What the tables of README are made of: numbers, lines of Markdown, and where figures were measured."""

import textwrap
from collections.abc import Iterable
from typing import Any

from results import Measurement

WIDTH = 119
Measurements = dict[str, Measurement]


def number(value: float) -> str:
    """Two significant digits below 10, whole numbers above."""
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.2g}"


def duration(seconds: float) -> str:
    return f"{number(seconds)} s" if seconds >= 1 else f"{number(seconds * 1e3)} ms"


def table(heads: list[str], body: Iterable[list[str]]) -> str:
    lines = ["|" + "".join(f" {cell} |" if cell else " |" for cell in cells) for cells in [heads, *body]]
    return "\n".join([lines[0], "|" + "---|" * len(heads), *lines[1:]])


def paragraph(*sentences: str) -> str:
    return textwrap.fill(" ".join(filter(None, sentences)), WIDTH, break_on_hyphens=False)


def listing(words: list[str]) -> str:
    """Words as a list in a sentence."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def where(measured: Iterable[dict[str, Any]]) -> str:
    """When, on what and how often these were measured, each combination once."""
    found: list[str] = []
    for conditions in measured:
        machine, versions = conditions["machine"], conditions.get("versions", {})
        about = [machine[key] for key in ("processor", "remark") if machine.get(key)]
        cores = f"{machine['cores']} cores" + (f" ({', '.join(about)})" if about else "")
        backend = {"jax": "JAX"} if conditions.get("backend") == "jax" else {"tensorflow": "TensorFlow"}
        names = backend | {"keras": "Keras", "scikit-learn": "scikit-learn"}
        packages = [f"{name} {versions[key]}" for key, name in names.items() if key in versions]
        medians = [f"medians of {conditions['runs']} runs"] if conditions.get("runs", 1) > 1 else []
        text = ", ".join([conditions["date"], cores, *packages, *medians])
        found += [text] if text not in found else []
    return f"Measured: {'; '.join(found)}."


def conditions(measurements: Measurements) -> list[dict[str, Any]]:
    return [measurement.conditions for measurement in measurements.values()]


def conditions_of_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row["conditions"] for row in rows if "conditions" in row]
