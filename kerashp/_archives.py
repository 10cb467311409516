"""Checks of Keras' and NumPy's archives before anything in them is unpacked.

A file from an untrusted source can have members that would be written outside the folder, arrays that are a
thousand times as large as the file, or a configuration of layers that exhausts the memory. Digests do not
help, since anybody can compute them.
"""

import io
import json
import math
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path, PureWindowsPath
from typing import Any, BinaryIO

import h5py
import keras
import numpy as np

from kerashp._compat.keras import safe_mode, version

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"  # Keras' names
_MAX_EXPANSION = 100  # unpacked bytes for each stored byte; Keras and kerashp do not compress
_MAX_MEMBERS = 10_000
_TOLERANCE = 2**24  # bytes or weights beyond the proportion that are accepted
_BYTES_PER_WEIGHT = 64  # in float64, with the optimizer's state
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

_SAFE_VERSION = (3, 14)  # of Keras: safe mode and the checks here stop every known hostile file


class SecurityWarning(UserWarning):
    """The installed Keras has known vulnerabilities in loading: load only files that you trust.

    Examples
    --------
    >>> import warnings
    >>> from kerashp.training import SecurityWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", SecurityWarning)  # nothing is loaded with such a Keras
    """


@cache
def warn_of_vulnerable_keras() -> None:
    """Warn once in a process that the installed Keras may run code from a file.

    Before 3.13.2, TFSMLayer loads any graph in spite of safe mode (CVE-2026-1462); before 3.14.0, members of
    an archive are compared to the working directory (GHSA-hqp4-2352-xf5r). `check_archive` covers what later
    versions fixed: virtual datasets (CVE-2026-12480), and members that unpack to more than they store.
    """
    if version() < _SAFE_VERSION:
        warnings.warn(
            f"Keras {keras.__version__} has known vulnerabilities in loading (CVE-2026-1462 and others): a "
            ".keras file from an untrusted source can run code or write files. Files that you saved are "
            'safe. Before you load others, install a fixed version: pip install "keras>=3.15.1"',
            SecurityWarning,
            stacklevel=3,
        )


def check_archive(path: Path, n_weights: int | None = None) -> None:
    """Refuse a Keras file whose content is out of proportion or would be unpacked outside its folder.

    Parameters
    ----------
    path : Path
        A file whose name ends in ".keras" or ".weights.h5".
    n_weights : int, default=None
        The number of weights of the model that loads the file; None if it is known from the file only.

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile
        If the file is refused; the message says why.
    """
    if path.suffix != ".keras":
        with h5py.File(path) as weights:
            _check_weights(weights, path.stat().st_size, n_weights)
        return
    with zipfile.ZipFile(path) as archive:
        _check_members(archive.infolist())
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        n_bytes = sizes.get(_WEIGHTS, 0)
        if sizes.get(_CONFIG, 0) > _TOLERANCE + n_bytes:
            raise ValueError(
                f"its {_CONFIG} has {sizes[_CONFIG]} bytes, out of proportion to {n_bytes} bytes of weights"
            )
        if _WEIGHTS in sizes:
            with h5py.File(io.BytesIO(archive.read(_WEIGHTS))) as weights:
                n_stored = _check_weights(weights, n_bytes, n_weights)
            if n_weights is None:
                _check_proportion(archive, n_stored, n_bytes)


def load_model(path: Path, *, compile: bool) -> Any:
    """Load a checked archive with Keras in safe mode, whatever the global setting is."""
    with safe_mode():  # enable_unsafe_deserialization() overrides load_model's safe_mode
        return keras.saving.load_model(path, compile=compile, safe_mode=True)


def write_arrays(file: Path | BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays with `numpy.savez`, none with pickle (its `allow_pickle` needs NumPy 2.1).

    Raises
    ------
    ValueError
        If an array contains objects.
    """
    pickled = [name for name, array in arrays.items() if np.asanyarray(array).dtype.hasobject]
    if pickled:
        raise ValueError(
            f"Object arrays cannot be saved without pickle; got {', '.join(pickled)}. Pass numbers or strings"
        )
    np.savez(file, **arrays)  # type: ignore[arg-type]


def read_arrays(file: Path | BinaryIO) -> dict[str, np.ndarray]:
    """Read arrays that `numpy.savez` wrote; nothing is unpickled.

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile
        If an array is compressed, or its size differs from its header.
    """
    with zipfile.ZipFile(file) as archive:
        _check_members(archive.infolist())
        return dict(_read_array(archive, info) for info in archive.infolist())


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[str, np.ndarray]:
    if info.file_size != info.compress_size:
        raise ValueError(f"its array {info.filename!r} is compressed; numpy.savez stores arrays as they are")
    with archive.open(info) as member:
        shape, _, dtype = _HEADERS[np.lib.format.read_magic(member)](member)
        expected, stored = dtype.itemsize * math.prod(shape), info.file_size - member.tell()
        if expected != stored and not dtype.hasobject:
            raise ValueError(f"its array {info.filename!r} should have {expected} bytes, but has {stored}")
        member.seek(0)
        array = np.lib.format.read_array(member, allow_pickle=False)
    return info.filename.removesuffix(".npy"), array


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > _MAX_MEMBERS:
        raise ValueError(f"it has {len(members)} members, more than {_MAX_MEMBERS}")
    for name, number in Counter(info.filename for info in members).items():
        path = PureWindowsPath(name)  # for which both slashes are separators, and a drive is an anchor
        if path.anchor or ".." in path.parts:
            raise ValueError(f"its member {name!r} leads out of the folder")
        if number > 1:
            raise ValueError(f"it has {number} members called {name!r}")
    _check_expansion((info.filename, info.file_size, info.compress_size) for info in members)


def _check_expansion(sizes: Iterator[tuple[str, int, int]]) -> None:
    """Refuse items that unpack to far more bytes than are stored.

    `sizes` has the name, the unpacked and the stored bytes of each item.
    """
    excess = 0
    for name, unpacked, stored in sizes:
        excess += max(0, unpacked - _MAX_EXPANSION * stored)
        if excess > _TOLERANCE:
            raise ValueError(f"its {name!r} would unpack to {unpacked} bytes, but {stored} are stored")


def _check_weights(weights: h5py.File, n_bytes: int, n_weights: int | None) -> int:
    """The number of stored weights, after a check that they need memory in proportion to the file."""
    datasets = dict(_datasets(weights))
    _check_expansion(
        (name, dataset.dtype.itemsize * math.prod(dataset.shape or ()), dataset.id.get_storage_size())
        for name, dataset in datasets.items()
    )
    if n_weights is not None and n_bytes > _TOLERANCE + _BYTES_PER_WEIGHT * n_weights:
        raise ValueError(f"it has {n_bytes} bytes of weights, out of proportion to a model of {n_weights}")
    return sum(math.prod(dataset.shape or ()) for dataset in datasets.values())


def _datasets(weights: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """All datasets by name; links and external storage are refused."""
    groups, addresses = [weights], set()
    while groups:
        group = groups.pop()
        for name in group:
            if group.get(name, getlink=True, getclass=True) is not h5py.HardLink:
                raise ValueError(f"its {group.name}/{name} is a link, which is not followed")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in addresses:
                raise ValueError(f"its {item.name} occurs twice")
            addresses.add(address)
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif item.external or item.is_virtual:
                raise ValueError(f"its {item.name} is stored in another file")
            else:
                yield item.name, item


def _check_proportion(archive: zipfile.ZipFile, n_stored: int, n_bytes: int) -> None:
    """Refuse a configuration whose layers have far more or far fewer weights than are stored."""
    n_weights = _weights_of_config(json.loads(archive.read(_CONFIG)))
    if n_weights is None:
        return
    if n_weights > _TOLERANCE + _MAX_EXPANSION * n_stored:
        raise ValueError(f"its layers have {n_weights} weights, out of proportion to {n_stored} stored ones")
    if n_bytes > _TOLERANCE + _BYTES_PER_WEIGHT * n_weights:
        raise ValueError(f"it has {n_bytes} bytes of weights, out of proportion to layers with {n_weights}")


def _weights_of_config(config: dict[str, Any]) -> int | None:
    """The number of weights of a model with this configuration; None if Keras cannot make it."""
    # Keras registers stateless objects for the current thread, and would later create their variables there.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_weights_of_layers, {**config, "compile_config": None}).result()


def _weights_of_layers(config: dict[str, Any]) -> int | None:
    try:
        with keras.StatelessScope(initialize_variables=False), safe_mode():
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        return sum(math.prod(variable.shape) for variable in model.variables)
    except Exception:  # Keras raises it again when it loads the model
        return None
