"""What a notebook shows, executed in a kernel as Jupyter does."""

import os
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

pytestmark = pytest.mark.slow

_CELLS = {
    "imports": """
        from sklearn.datasets import load_iris
        from kerashp import KerasMLPClassifier, diagnostics
        from kerashp.model_selection import RandomizedSearchCV
        X, y = load_iris(return_X_y=True)
        mlp = KerasMLPClassifier(epochs=20, tol=None, random_state=0)
    """,
    "estimator": "mlp",
    "search": """
        space = {"n_hidden": [0, 1], "n_neurons": [5, 9]}
        search = RandomizedSearchCV(mlp, space, n_iter=3, cv=2, random_state=0, verbose=1)
        search.fit(X, y)
    """,
    "plan": "search.plan_",
    "diagnosis": "diagnostics.diagnose(search.best_estimator_)",
    "initialization": "diagnostics.check_initialization(search.best_estimator_.model_, X)",
}


@pytest.fixture(scope="module")
def outputs() -> dict[str, list[Any]]:
    """The outputs of each cell."""
    codes = ["\n".join(map(str.strip, text.strip().splitlines())) for text in _CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in codes])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_CPP")}
    environment["PYTHONPATH"] = str(Path(__file__).parent.parent)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute(env=environment)
    return dict(zip(_CELLS, [cell.outputs for cell in notebook.cells], strict=True))


def _shown(outputs: list[Any]) -> Any:
    """The cell's value."""
    (result,) = [output for output in outputs if output.output_type == "execute_result"]
    return result.data


@pytest.mark.parametrize("cell", ["estimator", "search"])
def test_estimators_and_searches_show_sklearns_html(outputs: dict[str, list[Any]], cell: str) -> None:
    html = _shown(outputs[cell])["text/html"]
    assert 'id="sk-container-id-' in html
    assert "KerasMLPClassifier" in html


@pytest.mark.parametrize(("cell", "heading"), [("plan", "padding"), ("initialization", "layer")])
def test_plans_and_checks_show_tables(outputs: dict[str, list[Any]], cell: str, heading: str) -> None:
    html = _shown(outputs[cell])["text/html"]
    assert "<table>" in html
    assert f"<th>{heading}</th>" in html


def test_a_diagnosis_shows_its_findings(outputs: dict[str, list[Any]]) -> None:
    assert "<p>Verdict after 20 epochs" in _shown(outputs["diagnosis"])["text/html"]


def test_the_progress_is_one_line(outputs: dict[str, list[Any]]) -> None:
    """That changes in its place: the notebook keeps what it showed last."""
    (line,) = [output for output in outputs["search"] if output.output_type == "display_data"]
    assert list(line.data) == ["text/plain"]
    assert line.data["text/plain"].startswith("120/120 epochs, best score of a fold ")


def test_tensorflow_logs_nothing(outputs: dict[str, list[Any]]) -> None:
    streams = {
        (cell, output.name): output.text
        for cell in outputs
        for output in outputs[cell]
        if output.output_type == "stream"
    }
    assert streams == {("search", "stdout"): "Fitting 2 folds for each of 3 candidates, totalling 6 fits\n"}
