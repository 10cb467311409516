"""Every page of the documentation runs, from top to bottom, and what it names and links exists.

The Python blocks of a page share one namespace. A block of ```text after a block of Python is what that
prints, with "..." for what varies. Two comments before a block change what is done with it:

- `<!-- not run: REASON -->`: it is compiled but not run;
- `<!-- needs: PACKAGE -->`: it is run where the package is installed.
"""

import doctest
import importlib
import io
import re
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

_ROOT = Path(__file__).parents[2]
_DOCS = _ROOT / "docs"
_WRITTEN = ("start", "guide", "migration")  # the rest is made by the build of the site
_PAGES = [
    _ROOT / "README.md",
    *sorted(_DOCS.glob("*.md")),
    *(page for folder in _WRITTEN for page in sorted((_DOCS / folder).rglob("*.md"))),
]
_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>not run|needs): (?P<detail>.+?) -->\n+)?```python\n(?P<code>.*?)^```$"
    r"(?:\n+```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"\]\(([^)\s#:]+)(?:#[^)\s]*)?\)")
_ROLE = re.compile(r"\{(?:class|func|meth|attr|mod|exc|data)\}`~?(kerashp[\w.]*)`")
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A block of Python on a page."""

    line: int
    code: str
    output: str | None
    is_run: bool


def _blocks(text: str) -> list[Block]:
    found = []
    for match in _FENCE.finditer(text):
        mark, detail = match["mark"], match["detail"]
        is_run = mark is None or (mark == "needs" and all(map(find_spec, re.split(r",\s*", detail))))
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Block(line, match["code"], match["output"], is_run))
    return found


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _name(page: Path) -> str:
    return page.relative_to(_ROOT).as_posix()


_WITH_CODE = [
    pytest.param(page, id=_name(page), marks=pytest.mark.slow) for page in _PAGES if _blocks(_text(page))
]


@pytest.mark.usefixtures("short_training")
@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("page", _WITH_CODE)
def test_a_page_runs_as_shown(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path))
    names: dict[str, Any] = {"__name__": "page"}
    for block in _blocks(_text(page)):
        code = "\n" * (block.line - 1) + block.code  # so that an error names the line of the page
        compiled = compile(code, str(page), "exec")
        if not block.is_run:
            continue
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compiled, names)
        if block.output is not None:
            same = doctest.OutputChecker().check_output(block.output, printed.getvalue(), _FLAGS)
            assert same, f"{_name(page)}, line {block.line} prints:\n{printed.getvalue()}"
    if find_spec("matplotlib"):
        importlib.import_module("matplotlib.pyplot").close("all")


def test_every_block_of_python_is_found() -> None:
    for page in _PAGES:
        text = _text(page)
        assert len(_blocks(text)) == len(re.findall(r"^\s*```\{?python", text, re.MULTILINE)), _name(page)
        n_marks = len(re.findall(r"^<!-- (?:not run|needs): ", text, re.MULTILINE))
        assert n_marks == sum(match["mark"] is not None for match in _FENCE.finditer(text)), _name(page)


def test_few_blocks_are_not_run() -> None:
    blocks = [match for page in _PAGES for match in _FENCE.finditer(_text(page))]
    assert sum(match["mark"] == "not run" for match in blocks) <= 0.15 * len(blocks)


@pytest.mark.parametrize("page", _PAGES, ids=_name)
def test_links_lead_to_files(page: Path) -> None:
    missing = [
        target
        for target in _LINK.findall(re.sub(r"^```.*?^```$", "", _text(page), flags=re.MULTILINE | re.DOTALL))
        if not (page.parent / target).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("page", _PAGES, ids=_name)
def test_names_of_the_reference_exist(page: Path) -> None:
    for name in _ROLE.findall(_text(page)):
        parts = name.split(".")
        found: Any = importlib.import_module("kerashp")
        for depth, part in enumerate(parts[1:], 2):
            try:
                found = getattr(found, part)
            except AttributeError:
                found = importlib.import_module(".".join(parts[:depth]))


def test_the_readme_is_short() -> None:
    assert _text(_ROOT / "README.md").count("\n") <= 150


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("a folder of `estimator.save`", "kerashp.estimators._persistence"),
        ("checkpoints of `ModelCheckpoint`", "kerashp.callbacks._manifest"),
        ("a search's journal", "kerashp.model_selection._storage.journal"),
    ],
)
def test_formats_of_files_are_those_of_the_code(file: str, module: str) -> None:
    number = importlib.import_module(module)._FORMAT
    assert re.search(rf"^\| {file}[^|]* \| {number} \| ", _text(_DOCS / "stability.md"), re.MULTILINE)


def test_blocks_are_read_as_described() -> None:
    page = (
        "```python\nprint(1)\n```\n\n```text\n...\n```\n\n"
        "<!-- not run: it takes hours -->\n```python\n1\n```\n\n"
        "<!-- needs: kerashp, no_such_package -->\n\n```python\n2\n```\n"
    )
    first, second, third = _blocks(page)
    assert (first.line, first.code, first.output, first.is_run) == (2, "print(1)\n", "...\n", True)
    assert (second.is_run, third.is_run) == (False, False)
