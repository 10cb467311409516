"""Examples of the gallery, which `make docs` executes, and the tools of the documentation."""

import ast
import importlib.util
import re
import zlib
from pathlib import Path
from types import ModuleType

import pytest

_DOCS = Path(__file__).parents[2] / "docs"
_EXAMPLES = sorted((_DOCS / "gallery").glob("plot_*.py"))
_LEAST = 14


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_enough_examples_and_each_has_a_place_in_the_gallery() -> None:
    assert len(_EXAMPLES) >= _LEAST
    order = _module(_DOCS / "_extensions" / "gallery_order.py").GalleryOrder("gallery")
    assert sorted(map(order, (path.name for path in _EXAMPLES))) == list(range(len(_EXAMPLES)))


@pytest.mark.parametrize("path", _EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_a_title_a_figure_and_public_names(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    _, title, line, blank, *description = ast.get_docstring(tree, clean=False).split("\n")
    assert line == "=" * len(title)
    assert blank == ""
    assert description[0]
    last_text = text.rsplit("\n# %%\n", 1)[1]
    assert re.match(r"# [A-Z].*\.\n\n", last_text, re.DOTALL)  # says what the figure shows
    assert last_text.endswith("plt.show()\n")
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [module for module in modules if "._" in module]
    assert "warnings" not in text


def test_inventories_are_those_of_their_script() -> None:
    script = _module(_DOCS / "_inventories" / "make.py")
    assert {path.stem for path in (_DOCS / "_inventories").glob("*.inv")} == set(script.projects())
    for project in script.projects():
        stored = (_DOCS / "_inventories" / f"{project}.inv").read_bytes()
        assert _lines(stored) == _lines(script.inventory(project))


def _lines(inventory: bytes) -> tuple[list[bytes], list[bytes]]:
    *head, packed = inventory.split(b"\n", 4)
    return head, zlib.decompress(packed).splitlines()


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("The rate $\\eta$ is `a$b$`.", "The rate :math:`\\eta` is `a$b$`."),
        ("It is\n\n$$x =\ny,$$\n\nso.", "It is\n\n.. math::\n\n   x =\n   y,\n\nso."),
        ("With w:\n\n    r = w\n    s = 2\n\nEnd", "With w::\n\n    r = w\n    s = 2\n\nEnd"),
        ("Drops.\n\n    r = w\n\nEnd", "Drops.\n\n::\n\n    r = w\n\nEnd"),
        ("Text.\n\n    >>> a = 1", "Text.\n\n    >>> a = 1"),
        ("a_, b : of shape (n_, *s)", "a_, b : of shape (n\\_, \\*s)"),
        ("X : of shape (n_, *s)", "X : of shape (n\\_, \\*s)"),
        ("Is `a_,`.\n\nExamples\n--------\n>>> a_, $b", "Is `a_,`.\n\nExamples\n--------\n>>> a_, $b"),
    ],
)
def test_formulas_of_docstrings(docstring: str, expected: str) -> None:
    pytest.importorskip("sphinx", reason="the extra docs has it")
    markup = _module(_DOCS / "_extensions" / "docstring_markup.py")
    assert markup.as_restructured_text(docstring) == expected


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "guide").mkdir()
    links = ["../index.html#here", "../index.html#there", "none.html", "#", "https://keras.io/x", "a%20b.png"]
    (tmp_path / "guide" / "page.html").write_text("".join(f'<a href="{link}">' for link in links))
    (tmp_path / "index.html").write_text('<h1 id="here"><img src="none.png">')
    (tmp_path / "guide" / "a b.png").touch()
    found = _module(_DOCS / "check_links.py").broken_links(tmp_path)
    assert found == [
        "guide/page.html: ../index.html#there",
        "guide/page.html: none.html",
        "index.html: none.png",
    ]
