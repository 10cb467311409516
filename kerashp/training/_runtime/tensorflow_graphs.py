"""Traced TensorFlow functions that another process can load instead of tracing and compiling them again.

The functions in a graph have names that count from process to process. They get names by the key instead, so
that neither TensorFlow takes one for another of this process, nor XLA misses what it has compiled of them:
XLA finds that by a digest that includes all names in the program.
"""

import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

import tensorflow as tf
from tensorflow.core.framework import function_pb2

from kerashp._cache_folder import is_off
from kerashp._compat.tensorflow import (
    call_function,
    read_xla_flags,
    register_function,
    remove_function,
    without_constant_folding,
)
from kerashp._files import packed, unpacked
from kerashp._loading import has_gpu, without_lines_on_stderr

_FLAGS = "TF_XLA_FLAGS"
# XLA's files go to TensorFlow's file system in memory: there no disk is full, and no process shares them.
_XLA_FILES = "ram://kerashp"


def _obstacle_to_xla_files() -> str | None:
    """Let XLA make files of what it compiles, by which another process need not compile it; or why not.

    The flag is TensorFlow's own. TensorFlow has read it for good after its first operation.
    """
    if is_off():
        return "KERASHP_CACHE=off"
    if os.environ.get(_FLAGS):
        return f"{_FLAGS} is set"
    if has_gpu():
        return "this machine has a GPU, for which TensorFlow is not known to keep it"
    if not read_xla_flags(f"--tf_xla_persistent_cache_directory={_XLA_FILES}"):
        return "TensorFlow was used before kerashp.training was imported"
    return None


OBSTACLE_TO_XLA_FILES = _obstacle_to_xla_files()


class SavedGraph:
    """A function of tensors, under a name that means the same function in all processes.

    Parameters
    ----------
    name : str
    library : bytes
        A FunctionDefLibrary: the function, and those that it calls.
    xla : bool
        Whether XLA compiles it.
    files : dict from str to bytes, or None
        What XLA has compiled of it in another process; None if the function is new.
    """

    def __init__(self, name: str, library: bytes, files: Mapping[str, bytes] | None, *, xla: bool):
        self._functions = _registered(name, library)
        self._xla = xla
        self._kept = None if files is None else set(files)
        _provide(files or {})

    @classmethod
    def traced(cls, concrete: Any, name: str, *, xla: bool) -> "SavedGraph":
        """A function of this process, which captures no tensors."""
        main = concrete.function_def
        library = function_pb2.FunctionDefLibrary()
        library.function.extend([main, *concrete.graph.as_graph_def().library.function])
        _rename(library, main.signature.name, name)
        return cls(name, library.SerializeToString(deterministic=True), None, xla=xla)

    @classmethod
    def loaded(cls, content: bytes, name: str) -> "SavedGraph":
        """The function of which `prepare` gave these bytes in another process."""
        (xla, names), (library, *files) = unpacked(content)
        return cls(name, library, dict(zip(names, files, strict=True)), xla=xla)

    def __call__(self, *tensors: Any) -> list[Any]:
        return call_function(self._functions.name, tensors, self._functions.n_outputs)

    def prepare(self, tensors: Sequence[Any]) -> tuple[bool, bytes | None]:
        """Compile the function, if XLA does, by a first call.

        Returns
        -------
        compiled : bool
            Whether XLA has compiled it.
        content : bytes or None
            What another process needs to load the function; None if it has that.
        """
        if not self._xla:
            return False, self._content({}) if self._kept is None else None
        # Constants that TensorFlow folds have random names, by which XLA would miss its files. XLA takes two
        # preferences of its own code for abilities that the processor lacks (openxla/xla#44565); version 2.20
        # reads its files as text before it reads them as they are.
        noise = b"cpu_aot_loader.cc", b"XlaSerializedCacheEntry"
        with without_constant_folding(), without_lines_on_stderr(*noise):
            self(*tensors)
        files = _take(self._functions.name)
        kept = self._kept or set()
        new = {name: content for name, content in files.items() if name not in kept}
        is_new = self._kept is None or bool(new)
        return is_new or not files, self._content(new) if is_new else None

    def _content(self, files: Mapping[str, bytes]) -> bytes:
        return packed([self._xla, list(files)], [self._functions.library, *files.values()])


class _Functions:
    """The functions of a library, which this process can call by name until this object is deleted."""

    def __init__(self, name: str, library: bytes):
        definitions = function_pb2.FunctionDefLibrary.FromString(library).function
        main = next(definition for definition in definitions if definition.signature.name == name)
        self.name = name
        self.library = library
        self.n_outputs = len(main.signature.output_arg)
        for definition in definitions:
            register_function(definition)
        weakref.finalize(self, _remove, [definition.signature.name for definition in definitions])


_FUNCTIONS: WeakValueDictionary[str, _Functions] = WeakValueDictionary()  # one name has one definition
_LOCK = threading.Lock()


def _registered(name: str, library: bytes) -> _Functions:
    with _LOCK:
        functions = _FUNCTIONS.get(name)
        if functions is None:
            functions = _FUNCTIONS[name] = _Functions(name, library)
        return functions


def _remove(names: Sequence[str]) -> None:
    for name in names:
        remove_function(name)


def _rename(library: Any, main: str, name: str) -> None:
    """Name the functions after the main one, in the order in which they stand."""
    functions = library.function
    names = {function.signature.name: f"{name}_{index}" for index, function in enumerate(functions)}
    names[main] = name
    for function in functions:
        function.signature.name = names[function.signature.name]
        for node in function.node_def:
            node.op = names.get(node.op, node.op)
            for attribute in node.attr.values():
                for reference in (attribute.func, *attribute.list.func):
                    if reference.name in names:
                        reference.name = names[reference.name]


def _provide(files: Mapping[str, bytes]) -> None:
    """Have XLA find these files."""
    if OBSTACLE_TO_XLA_FILES is None and files:
        tf.io.gfile.makedirs(_XLA_FILES)
        for name, content in files.items():
            with tf.io.gfile.GFile(f"{_XLA_FILES}/{name}", "wb") as file:
                file.write(content)


def _take(function_name: str) -> dict[str, bytes]:
    """Remove and return the files of a function."""
    files: dict[str, bytes] = {}
    if OBSTACLE_TO_XLA_FILES is not None or not tf.io.gfile.exists(_XLA_FILES):
        return files
    for name in sorted(tf.io.gfile.listdir(_XLA_FILES)):
        path = f"{_XLA_FILES}/{name}"
        with suppress(tf.errors.NotFoundError):  # another thread takes its own
            with tf.io.gfile.GFile(path, "rb") as file:
                content = file.read()
            if function_name.encode() in content:
                tf.io.gfile.remove(path)
                files[name] = content
    return files
