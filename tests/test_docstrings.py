"""Docstrings: numpydoc everywhere, complete for the estimators, and alike where names are alike."""

import ast
import inspect
import re
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

import kerashp
from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, KerasRegressor, model_selection

_ESTIMATORS = (KerasMLPClassifier, KerasMLPRegressor, KerasClassifier, KerasRegressor)
_SEARCHES = tuple(getattr(model_selection, name) for name in model_selection.__all__ if name.endswith("CV"))

# Entries of the same name whose descriptions differ, with the reason.
_BY_TARGET = {
    "l2": "1 / n_samples for classes, 4 / n_samples for numbers",
    "normalize": "only a classifier has class weights, which do not count",
    "validation_fraction": "only classes are stratified",
    "callbacks": "only the targets of the perceptron for regression are standardised",
    "model_": "only the perceptron for regression has a layer for the units of the target",
    "loss": "the loss that None chooses depends on the target",
}
_BY_KIND = {
    "optimizer": "a perceptron gives it `learning_rate`; a wrapper routes arguments to it",
    "batch_size": "other defaults, and -1 for all rows",
    "epochs": "other defaults",
    "callbacks": _BY_TARGET["callbacks"],
    "model_": _BY_TARGET["model_"],
    "validation_fraction": _BY_TARGET["validation_fraction"],
    "stopped_early_": "only a perceptron has `tol`",
}
_BY_METHOD = {
    "X": "`fit` lists the types",
    "y": "`fit` describes all kinds of targets",
    "sample_weight": "`fit` says what a weight of 0 means",
    "validation_data": "`fit` has early stopping, `partial_fit` a single epoch",
}
_BY_SEARCH = {
    "batch": "an oracle learns, or a sampler",
    "cv_results_": "the columns that a search adds",
    "epochs_saved_": "saved in iterations of halving, or in rounds of Hyperband",
    "cv": "a search by halving needs the same splits in each iteration",
    "n_trials": "a study may have had trials before, and other defaults",
    "n_iter": "the candidates of the search, or of a round",
    "min_resources": "other defaults, as in scikit-learn",
    "param_distributions": "refers to `RandomizedSearchCV`",
    "param_grid": "refers to `GridSearchCV`",
    "random_state": "what it determines depends on the search",
    "return_train_score": "other defaults, as in scikit-learn",
    "space": "the kinds of spaces that a search takes",
}


def _sections(documented: Any) -> dict[str, list[tuple[str, str, str]]]:
    """The name, the type and the text of each entry, by the title of its section."""
    doc = inspect.getdoc(documented) or ""
    parts = re.split(r"^([A-Z][A-Za-z ]+)\n-+\n", doc, flags=re.MULTILINE)
    entry = r"^(\S[^:\n]*?)(?: : (.*))?\n((?:(?: +.*)?(?:\n|\Z))*)"
    return {
        title: [
            (name, kind, " ".join(text.split()))
            for names, kind, text in re.findall(entry, body, flags=re.MULTILINE)
            for name in names.split(", ")
        ]
        for title, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def _entries(documented: Any) -> dict[str, tuple[str, str]]:
    """The type and the text of each parameter and attribute."""
    sections = _sections(documented)
    entries = sections.get("Parameters", []) + sections.get("Attributes", [])
    return {name: (kind, text) for name, kind, text in entries if name != "others"}  # "See ..."


def _differences(pairs: Iterable[tuple[Any, Any]]) -> set[str]:
    """The names of entries that a pair of classes describes differently."""
    return {
        name
        for first, second in pairs
        for name in _entries(first).keys() & _entries(second).keys()
        if _entries(first)[name] != _entries(second)[name]
    }


def _default(kind: str) -> str | None:
    found = re.search(r"default=(.+)$", kind)
    return found[1] if found else None


@pytest.mark.parametrize("estimator", _ESTIMATORS, ids=lambda estimator: estimator.__name__)
def test_every_parameter_is_documented_with_its_default(estimator: Any) -> None:
    parameters = {name: kind for name, (kind, _) in _entries(estimator).items() if not name.endswith("_")}
    defaults = estimator().get_params()
    documented = {name: kind for name, kind in parameters.items() if name != "**params"}
    if "**params" in parameters:  # these are described together with the optimizer, or belong to the function
        together = {"metrics", "loss_weights", "weighted_metrics", "run_eagerly"}
        _, text = _entries(estimator)["optimizer"]
        assert all(f"`{name}`" in text for name in together)
        function = inspect.signature(kerashp.build_model).parameters
        assert documented.keys() == defaults.keys() - together - (function.keys() - documented.keys())
        defaults = {**defaults, "optimizer": "rmsprop"}  # build_model's has another
    else:
        assert list(parameters) == list(inspect.signature(estimator).parameters)
    for name, kind in documented.items():
        default = defaults[name]
        if name == "model":
            assert _default(kind) == default.__name__
        else:
            assert ast.literal_eval(str(_default(kind))) == default, name


@pytest.mark.parametrize(
    ("pairs", "reasons"),
    [
        ([_ESTIMATORS[:2], _ESTIMATORS[2:]], _BY_TARGET),
        ([(_ESTIMATORS[0], _ESTIMATORS[2]), (_ESTIMATORS[1], _ESTIMATORS[3])], _BY_KIND),
        (list(combinations(_SEARCHES, 2)), _BY_SEARCH),
    ],
    ids=["classifiers and regressors", "perceptrons and wrappers", "searches"],
)
def test_what_has_one_name_is_described_alike(pairs: Any, reasons: dict[str, str]) -> None:
    assert _differences(pairs) <= reasons.keys()


def test_arguments_of_fit_are_described_alike_in_partial_fit() -> None:
    for estimator in _ESTIMATORS:
        pairs = [(estimator.fit, estimator.partial_fit)]
        assert _differences(pairs) <= _BY_METHOD.keys(), estimator


def _files() -> list[Path]:
    return sorted(Path(kerashp.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", _files(), ids=lambda path: path.stem)
def test_docstrings_have_the_sections_of_numpydoc(path: Path) -> None:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        doc = ast.get_docstring(node) if isinstance(node, kinds) else None
        assert not re.search(r"^(Args|Arguments|Returns|Raises|Yields|Example|Source): ?", doc or "", re.M)
        titles = "Parameters|Returns|Raises|Warns|Attributes|Notes|References|Examples|See Also"
        for title, line in re.findall(rf"^({titles})\n(.*)$", doc or "", re.M):
            assert line == "-" * len(title)
