"""Functions of nested arrays, traced and compiled by this process, or loaded from the program cache."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from keras import tree

from kerashp.training._engine.preparation import Preparation, record
from kerashp.training._engine.program_files import ProgramFile
from kerashp.training._runtime.backend import backend
from kerashp.training._runtime.temporary_values import VALUES_LOCK


class Compiled:
    """A function of nested arrays, compiled for arguments of certain types.

    Parameters
    ----------
    function : Executable of the backend
        Of the arguments' leaves; it gives those of the result.
    structure : nested
        The result's.
    """

    def __init__(self, function: Any, structure: Any):
        self.function = function
        self.structure = structure

    def __call__(self, arguments: Sequence[Any]) -> Any:
        leaves = self.function(*tree.flatten(arguments))
        return tree.pack_sequence_as(self.structure, leaves)


def prepared(
    function: Callable[[], Callable[..., Any]],
    compiler: Callable[..., Any],
    arguments: Sequence[Any],
    idle: Sequence[Any],
    file: ProgramFile | None,
) -> Compiled:
    """A function that is ready to be called.

    Parameters
    ----------
    function : callable
        Makes the function to be traced, where it is not loaded.
    compiler : callable
        Of `backend()`, with its options.
    arguments : list of nested arrays
        Like those of all calls.
    idle : list of nested arrays
        Those of a first call, by which it is compiled: with them it does as little as possible.
    file : ProgramFile or None
        From where it is loaded if it is there, and where it is kept otherwise.
    """
    if file is None:
        return _traced(function, compiler, arguments, idle, None)
    try:
        loaded = _loaded(file, idle)
    except Exception:  # whatever is wrong with the file: if tracing works, it is of no use
        traced = _traced(function, compiler, arguments, idle, None)
        file.remove()
        return traced
    return loaded or _traced(function, compiler, arguments, idle, file)


def _loaded(file: ProgramFile, idle: Sequence[Any]) -> Compiled | None:
    """The function that another process has kept there, if one has."""
    began = time.perf_counter()
    found = file.read()
    if found is None:
        return None
    structure, content = found
    loaded = Compiled(backend().loaded(content, file.name), structure)
    is_compiled = _prepare(loaded, idle, file)
    seconds = time.perf_counter() - began
    if is_compiled:
        record(Preparation(loaded=1, compiled=1, compiling_seconds=seconds))
    else:
        record(Preparation(loaded=1, loading_seconds=seconds))
    return loaded


def _traced(
    function: Callable[[], Callable[..., Any]],
    compiler: Callable[..., Any],
    arguments: Sequence[Any],
    idle: Sequence[Any],
    file: ProgramFile | None,
) -> Compiled:
    structure: Any = None

    def of_leaves(*leaves: Any) -> list[Any]:
        nonlocal structure
        result = of_arguments(*tree.pack_sequence_as(arguments, leaves))
        structure = tree.map_structure(lambda _: 0, result)
        return tree.flatten(result)

    with VALUES_LOCK:  # tracing replaces values
        began = time.perf_counter()
        of_arguments = function()
        executable = compiler(of_leaves, tree.flatten(arguments), name=None if file is None else file.name)
        record(Preparation(traced=1, tracing_seconds=time.perf_counter() - began))
    traced = Compiled(executable, structure)
    began = time.perf_counter()
    if _prepare(traced, idle, file):
        record(Preparation(compiled=1, compiling_seconds=time.perf_counter() - began))
    return traced


def _prepare(compiled: Compiled, idle: Sequence[Any], file: ProgramFile | None) -> bool:
    """Make the first call of a function, and keep what is new; whether it was compiled for that."""
    is_compiled, content = compiled.function.prepare(tree.flatten(idle))
    if file is not None and content is not None:
        file.write(compiled.structure, content)
    return bool(is_compiled)
