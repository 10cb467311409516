"""Where traced and compiled functions, and measurements of this machine, are kept for other processes.

An entry is found by a digest of all that its content follows from: for a function the graph shape, the layout
and the arguments' types, and for any entry the code and the machine that would make it anew.
"""

import hashlib
import json
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import keras

import kerashp
from kerashp._cache_folder import CacheFolder, cache_folder, processor
from kerashp._files import packed, unpacked
from kerashp.training._runtime.backend import backend

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # in a repr: it says nothing to another process
_FLAGS = (
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
    "JAX_ENABLE_X64",
    "JAX_DEFAULT_MATMUL_PRECISION",
)


@dataclass(frozen=True)
class ProgramFile:
    """The place of one function.

    Attributes
    ----------
    name : str
        Of the entry, and of the function itself.
    folder : CacheFolder
    classes : tuple of type
        The named tuples in the function's result.
    """

    name: str
    folder: CacheFolder
    classes: tuple[type, ...]

    def read(self) -> tuple[Any, bytes] | None:
        """The structure of the function's result, and the function; None where it is not there."""
        stored = self.folder.read(self.name)
        if stored is None:
            return None
        structure, (function,) = unpacked(stored)
        return self._decoded(structure), function

    def write(self, structure: Any, function: bytes) -> None:
        """Keep the function."""
        self.folder.write(self.name, packed(_encoded(structure), [function]))

    def remove(self) -> None:
        """Forget the function."""
        self.folder.remove(self.name)

    def _decoded(self, content: Any) -> Any:
        if not isinstance(content, list):
            return content
        kind, values = content
        if kind == "dict":
            return {name: self._decoded(value) for name, value in values.items()}
        decoded = list(map(self._decoded, values))
        named = {each.__name__: each for each in self.classes}
        return named[kind](*decoded) if kind in named else {"list": list, "tuple": tuple}[kind](decoded)


def _encoded(structure: Any) -> Any:
    """A nested structure as JSON."""
    if isinstance(structure, dict):
        return ["dict", {name: _encoded(value) for name, value in structure.items()}]
    if isinstance(structure, list | tuple):
        return [type(structure).__name__, list(map(_encoded, structure))]
    return structure


def program_file(
    program: str | None, call: Any, arguments: Sequence[Any], classes: tuple[type, ...]
) -> ProgramFile | None:
    """The place of a program's function for such arguments; None where it is not to be kept.

    Parameters
    ----------
    program : str or None
        What tells the program from all others; None: nothing does.
    call : tuple or str
        Which of its functions.
    arguments : list of arrays
    classes : tuple of type
        See `ProgramFile`.
    """
    folder = None if program is None or _ADDRESS.search(program) else cache_folder()
    if folder is None:
        return None
    types = [(tuple(array.shape), keras.backend.standardize_dtype(array.dtype)) for array in arguments]
    return ProgramFile(entry_name(program, call, types, backend().settings()), folder, classes)


def entry_name(*parts: Any) -> str:
    """The name of an entry that follows from these parts, the code and the machine."""
    text = json.dumps([list(map(repr, parts)), _environment()])
    return f"kerashp_{hashlib.sha256(text.encode()).hexdigest()[:40]}"


@cache
def _environment() -> str:
    """The code and the machine."""
    parts = [
        _code(),
        keras.__version__,
        keras.backend.backend(),
        backend().VERSION,
        platform.python_version(),
        platform.platform(),
        processor(),
        [os.environ.get(name) for name in _FLAGS],
    ]
    return json.dumps(parts)


def _code() -> str:
    """The digest of this package."""
    code = hashlib.sha256()
    for path in sorted(Path(kerashp.__file__).parent.rglob("*.py")):
        code.update(path.read_bytes())
    return code.hexdigest()
