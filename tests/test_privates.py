"""Names that other libraries keep private are read in `kerashp/_compat/` alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import kerashp

_PACKAGE = Path(kerashp.__file__).parent
_SOURCES = {path: path.read_text(encoding="utf-8") for path in sorted(_PACKAGE.rglob("*.py"))}

# Attributes that Python's own classes have in spite of their underscore.
_OF_PYTHON = {"_replace", "_asdict", "_fields", "_exit"}
# What a subclass of another library's class reads on itself, and from where. That is a
# subclass's to use: a function in between would hide what it depends on.
_OF_BASES = {
    "_dtype": "scikeras.utils.transformers.RegressorTargetEncoder",
    "_y_shape": "scikeras.utils.transformers.RegressorTargetEncoder",
    "_target_type": "scikeras.utils.transformers.ClassifierLabelEncoder",
    "_fit_callbacks": "scikeras.wrappers.BaseWrapper: the callbacks that it makes of parameters",
    "_fit_kwargs": "scikeras.wrappers.BaseWrapper",
    "_get_compile_kwargs": "scikeras.wrappers.BaseWrapper",
    "_get_metadata": "scikeras.wrappers.BaseWrapper",
    "_initialize_callbacks": "scikeras.wrappers.BaseWrapper",
    "_keras_build_fn": "scikeras.wrappers.BaseWrapper: a method that its users define in their subclasses",
    "_predict_callbacks": "scikeras.wrappers.BaseWrapper",
    "_type_of_target": "scikeras.wrappers.BaseWrapper",
    "_get_file_path": "keras.callbacks.ModelCheckpoint",
    "_is_improvement": "keras.callbacks.ModelCheckpoint",
    "_set_monitor_op": "keras.callbacks.ModelCheckpoint",
    "_get_scorers": "sklearn.model_selection.BaseSearchCV",
    "_y_train_mean": "sklearn.gaussian_process.GaussianProcessRegressor",
    "_y_train_std": "sklearn.gaussian_process.GaussianProcessRegressor",
}


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _is_private_module(module: str) -> bool:
    parts = module.split(".")
    if parts[0] in ("kerashp", "__future__"):
        return False
    return "src" in parts or parts[:2] == ["tensorflow", "python"] or any(map(_is_private, parts))


def _definitions(tree: ast.AST) -> Iterator[str]:
    """The names of functions, classes, variables and attributes that a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
            yield node.attr


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _privates(source: str, defined: set[str]) -> list[str]:
    """The private names of other libraries that a module reads, where `defined` are the names of our own."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if _is_private_module(alias.name)]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name for name in names if _is_private_module(name)]
        elif isinstance(node, ast.Attribute) and _is_private(node.attr):
            known = defined | _OF_PYTHON | (_OF_BASES.keys() if _is_self(node.value) else set())
            found += [ast.unparse(node)] if node.attr not in known else []
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [node.value] if node.value.startswith(("keras.src", "tensorflow.python")) else []
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr", "setattr"):
            name = node.args[1].value if isinstance(node.args[1], ast.Constant) else ""
            if _is_private(name) and name not in defined | _OF_BASES.keys():
                found.append(ast.unparse(node))
    return found


_DEFINED = {
    name
    for path, source in _SOURCES.items()
    if "_compat" not in path.relative_to(_PACKAGE).parts
    for name in _definitions(ast.parse(source))
}


@pytest.mark.parametrize("path", _SOURCES, ids=lambda path: str(path.relative_to(_PACKAGE)))
def test_no_private_name_of_another_library_is_read_outside_of_compat(path: Path) -> None:
    if path.relative_to(_PACKAGE).parts[0] != "_compat":
        assert not _privates(_SOURCES[path], _DEFINED)


@pytest.mark.parametrize(
    "source",
    [
        "import keras.src",
        "from keras.src.utils import naming",
        "from keras.src import ops",
        "from tensorflow.python.eager import context",
        "from sklearn.utils.validation import _num_samples",
        "from sklearn.utils._param_validation import Interval",
        "from sklearn.model_selection import _search_successive_halving as halving",
        "from joblib._parallel_backends import LokyBackend",
        "from jax._src.xla_bridge import backends_are_initialized",
        "from keras_tuner.src.engine import oracle",
        "from scikeras._utils import route_params",
        "layers = model._flatten_layers()",
        "self.model_._compile_metrics.update_state(y)",
        "layer._seed_generators = []",
        "value = getattr(optimizer, '_learning_rate', None)",
        "of_keras = name.startswith('keras.src.layers')",
        "def f(self): return self._get_progress_bar()",
    ],
)
def test_a_private_name_is_found(source: str) -> None:
    assert len(_privates(source, {"_number"})) >= 1


@pytest.mark.parametrize(
    "source",
    [
        "from kerashp._files import write",
        "from __future__ import annotations",
        "from keras.ops import cast",
        "import sklearn.model_selection",
        "state = other._number._replace(weights=[])",
        "name = type(model).__module__",
        "def f(self): return self._get_scorers()",
    ],
)
def test_what_is_not_private_is_let_pass(source: str) -> None:
    assert not _privates(source, {"_number"})
