"""The names of one training's checkpoints, and of the manifest beside them."""

import re
from collections.abc import Callable
from glob import escape, glob
from pathlib import Path
from string import Formatter


class Filenames:
    """The files that a name with placeholders, such as "{epoch:03d}.keras", may stand for.

    Examples
    --------
    >>> filenames = Filenames("run/{epoch:03d}-{val_loss:.2f}.keras")
    >>> filenames.root.as_posix(), filenames.manifest.as_posix()
    ('run', 'run/epoch-val_loss.keras.json')
    >>> filenames.match("run/007-0.31.keras"), filenames.match("run/best.keras")
    (True, False)
    """

    def __init__(self, template: str):
        self._template = template

    @property
    def root(self) -> Path:
        """The folder that has all files in it: of "run/{epoch}/model.keras" it is "run"."""
        prefix = ""
        for text, placeholder, *_ in Formatter().parse(self._template):
            prefix += text
            if placeholder is not None:
                break
        return Path(f"{prefix}x").parent

    @property
    def manifest(self) -> Path:
        """Beside the files: "run/{epoch:03d}.keras" has "run/epoch.keras.json"."""
        return Path(self._with_placeholders(str, str) + ".json")

    def match(self, path: str) -> bool:
        """Whether a file has the name of a checkpoint."""

        def values_of(placeholder: str) -> str:
            return r"\d+" if placeholder == "epoch" else r"[-+.\w]+"

        return re.fullmatch(self._with_placeholders(re.escape, values_of), path) is not None

    def existing(self) -> list[str]:
        """The files that are there, in the order of their names."""
        return sorted(filter(self.match, glob(self._with_placeholders(escape, lambda _: "*"))))

    def _with_placeholders(self, text_of: Callable[[str], str], value_of: Callable[[str], str]) -> str:
        """The template with its text and its placeholders, by their names, replaced."""
        parts = Formatter().parse(self._template)
        return "".join(
            text_of(text) + ("" if placeholder is None else value_of(placeholder))
            for text, placeholder, *_ in parts
        )
