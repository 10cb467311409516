"""The README for an index, which shows it alone: its links have to lead to the repository."""

import re
import tomllib
from pathlib import Path

from setuptools import setup

_ROOT = Path(__file__).parent
_SOURCE = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Source"]


def _absolute(link: re.Match[str]) -> str:
    view = "raw" if link["image"] else "blob"
    return f"{link['image']}[{link['text']}]({_SOURCE}/{view}/main/{link['target']})"


_RELATIVE = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]+)\]\((?!https?:)(?P<target>[^)\s]+)\)")

setup(
    long_description=_RELATIVE.sub(_absolute, (_ROOT / "README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
