"""Files beside the code name the same version and the same packages as the code."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from kerashp._version import __version__

_ROOT = Path(__file__).parents[1]
_FORMS = sorted((_ROOT / ".github").rglob("*.yml"))


def _text(name: str) -> str:
    return (_ROOT / name).read_text(encoding="utf-8")


def test_the_citation_has_the_version() -> None:
    assert f"\nversion: {__version__}\n" in _text("CITATION.cff")


def test_the_changelog_dates_the_version() -> None:
    sections = re.findall(r"^## \[(.+?)\](.*)$", _text("CHANGELOG.md"), re.MULTILINE)
    assert sections[0] == ("Unreleased", "")
    number, date = sections[1]
    assert number == __version__
    assert re.fullmatch(r" - \d{4}-\d{2}-\d{2}", date)


def test_an_index_shows_the_readme_with_links_that_lead_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[str, str] = {}
    monkeypatch.setattr("setuptools.setup", lambda **options: shown.update(options))
    runpy.run_path(str(_ROOT / "setup.py"))
    targets = re.findall(r"\]\(([^)]+)\)", shown["long_description"])
    assert len(targets) == len(re.findall(r"\]\([^)]+\)", _text("README.md")))
    assert all(target.startswith("https://") for target in targets)


def test_the_conda_recipe_has_the_requirements() -> None:
    project = tomllib.loads(_text("pyproject.toml"))["project"]
    listed = re.findall(
        r"^    - ([\w-]+) (\S+)$", _text("conda/meta.yaml").split("  run:\n")[1], re.MULTILINE
    )
    required = [re.fullmatch(r"([\w-]+)(.+)", requirement) for requirement in project["dependencies"]]
    assert listed[0] == ("python", f"{project['requires-python']},<3.14")
    assert listed[1:] == [match.groups() for match in required]


@pytest.mark.skipif(not _FORMS, reason="an sdist has no .github")
def test_forms_and_workflows_are_yaml() -> None:
    yaml = pytest.importorskip("yaml")
    for form in _FORMS:
        content = yaml.safe_load(form.read_text(encoding="utf-8"))
        if form.parent.name == "workflows":
            assert content["jobs"], form.name
        elif form.name != "config.yml":
            assert {"name", "description", "body"} <= content.keys(), form.name
