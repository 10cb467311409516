"""What `import kerashp` does and does not do, and which layer imports which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import kerashp

_PACKAGE = Path(kerashp.__file__).parent

# From the ground up: a layer imports only from layers before it.
_LAYERS = [
    "_version",
    "_loading",
    "_compat",
    "_files",
    "_cache_folder",
    "spaces",
    "presets",
    "_arguments",
    "_archives",
    "_memory",
    "_optimizers",
    "layers",
    "_statistics",
    "_transfer",
    "schedules",
    "models",
    "training",
    "callbacks",
    "estimators",
]
_LAYERS += ["diagnostics", "plotting", "model_selection", "integrations"]
# The sub-packages of a layer, likewise; a layer's other files stand on all of them.
_SUB_PACKAGES = {
    "training": ["_runtime", "_members", "_keras", "_stacking", "_engine"],
    "estimators": ["_columns", "_data", "_parameters", "_training"],
    "model_selection": [
        "_fits",
        "_planning",
        "_storage",
        "_logging",
        "_running",
        "_ensembles",
        "_oracles",
        "_optuna",
    ],
    "diagnostics": [
        "_foundations",
        "_distributions",
        "_gradients",
        "_initialization",
        "_learning_rate",
        "_learning_curves",
    ],
}
_MOST_FILES = 12  # of a folder, beside its __init__
_MOST_LINES = 400  # of a file, without docstrings of classes and functions


def _run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    ).stdout.strip()


def test_import_loads_neither_tensorflow_nor_keras_nor_scikeras() -> None:
    heavy = "('tensorflow', 'keras', 'scikeras', 'sklearn', 'jax', 'torch')"
    code = f"import sys, kerashp.presets, kerashp.spaces; print([m for m in {heavy} if m in sys.modules])"
    assert _run(code) in ("[]", "['sklearn']")


def test_import_loads_fewer_modules_than_sklearn() -> None:
    # A stand-in for time that does not depend on the machine; benchmarks/import_time.py measures it.
    count = "import sys; before = len(sys.modules); import {}; print(len(sys.modules) - before)"
    assert int(_run(count.format("kerashp"))) < int(_run(count.format("sklearn"))) / 5


@pytest.mark.slow
def test_importing_the_estimators_leaves_keras_and_the_process_alone() -> None:
    code = """
import keras, random
import numpy as np
owners = (keras.Model, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer)
names = ("__reduce__", "__deepcopy__")
def state():
    methods = [getattr(owner, name, None) for owner in owners for name in names]
    return methods, keras.config.floatx(), random.getstate(), np.random.get_state()[1].tolist()
before = state()
import kerashp
kerashp.KerasRegressor
print(state() == before)
"""
    assert _run(code) == "True"


@pytest.mark.parametrize("error", ["ImportError", "AttributeError"])
def test_keras_stays_as_it_is_where_the_import_of_scikeras_fails_midway(error: str) -> None:
    code = f"""
import sys, keras
owners = (keras.Model, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer)
names = ("__reduce__", "__deepcopy__")
def methods():
    return [vars(owner).get(name) for owner in owners for name in names]
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "scikeras.wrappers":
            print(methods() != before)
            raise {error}("midway")
sys.meta_path.insert(0, Broken())
before = methods()
import kerashp
for _ in range(2):
    try:
        kerashp.KerasRegressor
    except {error} as error:
        print(methods() == before, "midway" in str(error))
"""
    assert _run(code).split("\n") == ["True", "True True", "False", "True True"]


@pytest.mark.slow
def test_scikeras_imported_by_the_user_stays_as_it_is() -> None:
    code = """
import scikeras, keras
patched = keras.Model.__reduce__
import kerashp
kerashp.KerasRegressor
print(keras.Model.__reduce__ is patched)
"""
    assert _run(code) == "True"


def test_dir_lists_the_public_names() -> None:
    assert set(dir(kerashp)) >= set(kerashp.__all__)
    assert set(kerashp.__all__) == {
        "KerasClassifier",
        "KerasMLPClassifier",
        "KerasMLPRegressor",
        "KerasRegressor",
        "__version__",
        "build_model",
        "fit",
    }
    modules = {"callbacks", "diagnostics", "estimators", "integrations", "model_selection", "models"}
    assert modules | {"layers", "plotting", "presets", "schedules", "spaces", "training"} <= set(dir(kerashp))
    for name in kerashp.__all__:
        assert getattr(kerashp, name) is not None


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(AttributeError, match=r"'kerashp' has no attribute 'Keras'; it has .*build_model"):
        _ = kerashp.Keras


def _imports(path: Path) -> set[str]:
    """The names of the modules that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.add(str(node.module))
    return found


def _files() -> list[Path]:
    return [path for path in sorted(_PACKAGE.rglob("*.py")) if path != _PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(_PACKAGE)))
def test_layers_import_only_from_lower_ones(path: Path) -> None:
    layer = path.relative_to(_PACKAGE).parts[0].removesuffix(".py")
    assert layer in _LAYERS, f"{layer} is a new layer: say where it stands"
    allowed = set(_LAYERS[: _LAYERS.index(layer) + 1])
    ours = {name.split(".")[1] for name in _imports(path) if name.startswith("kerashp.")}
    assert ours <= allowed


@pytest.mark.parametrize("layer", _SUB_PACKAGES)
def test_sub_packages_import_only_from_lower_ones(layer: str) -> None:
    order = [*_SUB_PACKAGES[layer], ""]
    assert {path.name for path in (_PACKAGE / layer).iterdir() if (path / "__init__.py").exists()} == {
        *order[:-1]
    }

    def place(names: tuple[str, ...]) -> int:
        return order.index(names[0] if names[0] in order else "")

    for path in (_PACKAGE / layer).rglob("*.py"):
        if path == _PACKAGE / layer / "__init__.py":
            continue
        own = place(path.relative_to(_PACKAGE / layer).parts)
        parts = [name.split(".") for name in _imports(path) if name.startswith(f"kerashp.{layer}.")]
        later = [".".join(names) for names in parts if place(tuple(names[2:])) > own]
        assert not later, f"{path.relative_to(_PACKAGE)} imports {later}"


@pytest.mark.parametrize("folder", sorted({path.parent for path in _files()}), ids=lambda folder: folder.name)
def test_a_folder_holds_at_most_a_dozen_files(folder: Path) -> None:
    assert len([*folder.glob("[!_]*.py"), *folder.glob("_[!_]*.py")]) <= _MOST_FILES


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(_PACKAGE)))
def test_a_file_is_not_long(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    docstrings = [node.body[0] for node in nodes if ast.get_docstring(node)]
    described = sum(node.end_lineno - node.lineno + 1 for node in docstrings)
    assert len(text.splitlines()) - described <= _MOST_LINES


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("scikeras", {"_compat/scikeras.py"}),
        (
            "keras_tuner",
            {"_compat/tuners/keras_tuner.py", "_compat/tuners/keras_tuner_oracles.py"},
        ),
        (
            "tensorflow",
            {
                "_compat/tensorflow.py",
                "training/_runtime/tensorflow.py",
                "training/_runtime/tensorflow_graphs.py",
            },
        ),
        ("jax", {"_compat/jax.py", "training/_runtime/jax.py"}),
        ("tensorboard", {"_compat/trackers/tensorboard.py"}),
        ("matplotlib", {"plotting/_matplotlib.py"}),
        ("mlflow", {"integrations/_mlflow.py"}),
        ("wandb", {"_compat/trackers/wandb.py"}),
        ("optuna", {"_compat/tuners/optuna.py"}),
        ("torch", set()),
    ],
)
def test_a_library_is_imported_in_its_home_only(library: str, homes: set[str]) -> None:
    users = {
        path.relative_to(_PACKAGE).as_posix()
        for path in _files()
        if any(name.split(".")[0] == library for name in _imports(path))
    }
    assert users == homes
