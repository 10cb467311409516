"""How results of checks print."""

from dataclasses import FrozenInstanceError, dataclass, is_dataclass

import pytest

from kerashp import diagnostics, model_selection
from kerashp.diagnostics._foundations.result import Result, Table

_RESULTS = [
    "Diagnosis",
    "DistributionComparison",
    "Finding",
    "GradientCheck",
    "Growth",
    "InitializationCheck",
    "LearningRates",
]


@dataclass(frozen=True)
class Found(Result):
    """Something with letters that HTML takes for its own."""

    name: str

    def _parts(self) -> list[str | Table]:
        return [f"is {self.name}\nor not", Table(("a & b", "c"), [(self.name, "1"), ("long enough", "22")])]


def test_as_text() -> None:
    assert str(Found("<b>")) == "is <b>\nor not\na & b        c\n<b>          1\nlong enough  22"


def test_as_html_with_all_text_escaped() -> None:
    page = Found("<b>")._repr_html_()
    assert "<p>is &lt;b&gt;<br>or not</p>" in page
    assert "<th>a &amp; b</th><th>c</th>" in page
    assert "<tr><td>&lt;b&gt;</td><td>1</td></tr>" in page
    assert "<b>" not in page


@pytest.mark.parametrize("name", _RESULTS)
def test_results_are_frozen(name: str) -> None:
    kind = getattr(diagnostics if hasattr(diagnostics, name) else model_selection, name)
    assert issubclass(kind, Result)
    assert is_dataclass(kind)
    result = object.__new__(kind)
    with pytest.raises(FrozenInstanceError):
        result.anything = 1
