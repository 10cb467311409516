"""The reference lists every public name, and numpydoc finds nothing to mend in their docstrings."""

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import pytest

import kerashp

_DOCS = Path(__file__).parents[2] / "docs"
_CHECKS = {
    *("GL01", "GL02", "GL03"),  # form of the docstring
    *(f"PR{number:02}" for number in range(1, 11)),  # parameters
    *("RT01", "YD01", "SA04"),  # results, and descriptions in "See Also"
}
_EXAMPLES = "EX01"  # of classes and functions

_MODULES = [f"kerashp.{name}" for name in kerashp._MODULES]
_MODULES += ["kerashp.integrations.keras_tuner"]

# Names of `kerashp.training` that only other modules of kerashp use.
_INTERNAL = re.findall(
    r"\w+",
    """
    Costs Devices InputStatistics Mode block_size check_fork deepened dense_of device_memory
    is_only_a_schedule is_rowwise isolated last_hidden_weights measured mode_of n_cores n_devices n_uses
    obstacle one_warning_a_cause roomier set_statistics weight_shapes without_lambda_warnings without_warnings
    """,
)
# Names of other packages, and attributes, which have no docstring of kerashp's.
_WITHOUT_DOCSTRING = {"kerashp.__version__", "kerashp.spaces.loguniform"}


def _listed() -> list[str]:
    """The names that the pages of the reference list, with their modules."""
    names = []
    for page in sorted((_DOCS / "reference").glob("*.rst")):
        module = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if found := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
                module = found[1]
            elif module and (found := re.fullmatch(r"(?:   |\.\. py:data:: )(\w+)", line)):
                names.append(f"{module}.{found[1]}")
    return names


def _object(name: str) -> Any:
    module, attribute = name.rsplit(".", 1)
    return getattr(import_module(module), attribute)


def _public() -> list[str]:
    names = [f"kerashp.{name}" for name in kerashp.__all__]
    return names + [f"{module}.{name}" for module in _MODULES for name in import_module(module).__all__]


def _documented_members(name: str) -> list[str]:
    sys.path.insert(0, str(_DOCS / "_extensions"))
    try:
        documented = import_module("documented")
    finally:
        sys.path.remove(str(_DOCS / "_extensions"))
    return [member for _, member in documented.documented_members(name)]


def test_every_public_name_is_in_the_reference_once() -> None:
    listed = _listed()
    assert len(listed) == len(set(listed))
    documented = {id(_object(name)) for name in listed}
    assert len(documented) == len(listed)
    internal = {f"kerashp.training.{name}" for name in _INTERNAL}
    missing = [name for name in _public() if name not in internal and id(_object(name)) not in documented]
    assert not missing


def test_the_reference_lists_only_public_names() -> None:
    assert set(_listed()) <= set(_public())
    assert {f"kerashp.training.{name}" for name in _INTERNAL} <= set(_public()) - set(_listed())


def test_every_page_of_the_reference_is_in_its_index() -> None:
    index = (_DOCS / "reference" / "index.rst").read_text(encoding="utf-8")
    pages = {page.stem for page in (_DOCS / "reference").glob("*.rst")} - {"index"}
    assert set(re.findall(r"^   (\w+)$", index, re.MULTILINE)) == pages


@pytest.mark.parametrize("name", [name for name in _listed() if name not in _WITHOUT_DOCSTRING])
def test_docstrings_pass_numpydocs_validation(name: str) -> None:
    pytest.importorskip("numpydoc", reason="the extra docs has it")
    documented = _object(name)
    findings = list(_findings(name, _CHECKS | {_EXAMPLES}))
    if inspect.isclass(documented):
        for member in _documented_members(name):
            findings += _findings(f"{name}.{member}", _CHECKS)
    assert not findings


def _findings(name: str, checks: set[str]) -> Iterator[str]:
    from numpydoc.validate import Validator, validate

    documented = Validator._load_obj(name)
    for code, text in validate(name)["errors"]:
        is_interface = Protocol in getattr(documented, "__bases__", ())
        excused = (code == "PR01" and (is_interface or _is_result(documented))) or (
            code == "PR02" and _is_wrapper(documented)
        )
        if code in checks and not excused:
            yield f"{name}: {code} {text}"


def _entries(documented: Any, section: str) -> set[str]:
    from numpydoc.docscrape import NumpyDocString

    entries = NumpyDocString(inspect.getdoc(documented))[section]
    return {name for entry in entries for name in entry.name.split(", ")}


def _is_result(documented: Any) -> bool:
    """Whether it is the class of a result, whose fields are documented as attributes, not as parameters."""
    if not dataclasses.is_dataclass(documented):
        return False
    return {field.name for field in dataclasses.fields(documented)} <= _entries(documented, "Attributes")


def _is_wrapper(documented: Any) -> bool:
    """Whether it is an estimator that takes its parameters, all of which are documented, as `**params`."""
    if documented not in (kerashp.KerasClassifier, kerashp.KerasRegressor):
        return False
    return _entries(documented, "Parameters") - {"**params"} <= set(documented().get_params())
