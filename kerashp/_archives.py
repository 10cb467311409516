"""Keras' archives and NumPy's, checked before anything in them is unpacked.

Files that others may have written can claim more than they hold: members that would be written out of the
folder, arrays that are a thousand times as large as their file, a configuration of layers for which no memory
suffices. Digests do not help, since anybody can compute them.
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
_MOST_EXPANSION = 100  # times as many bytes as are stored; Keras and kerashp store as many as there are
_MOST_MEMBERS = 10_000
_SPARE = 2**24  # bytes or weights that are not asked about
_BYTES_A_WEIGHT = 64  # float64, with the optimizer's state
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

_MENDED = (3, 14)  # Keras' version since which no known file gets past safe mode and the checks made here


class SecurityWarning(UserWarning):
    """The installed Keras has known holes in loading: files of others are not safe, one's own still load."""


@cache
def warn_of_known_holes() -> None:
    """Say once a process, in the caller's caller, that the code of a file may be run by this Keras.

    Before 3.13.2, TFSMLayer loads any graph in spite of safe mode (CVE-2026-1462); before 3.14.0, members of
    an archive were compared to the working directory (GHSA-hqp4-2352-xf5r). `check_archive` refuses what was
    mended later: virtual datasets (CVE-2026-12480), and members that claim more than they hold.
    """
    if version() < _MENDED:
        warnings.warn(
            f"Keras {keras.__version__} has known holes in loading (CVE-2026-1462 and others): a .keras file "
            "from somebody else can run code or write files. Files of your own still load. Before you load "
            'others, install a version that is mended: pip install "keras>=3.15.1"',
            SecurityWarning,
            stacklevel=3,
        )


def check_archive(path: Path, n_weights: int | None = None) -> None:
    """Refuse one of Keras' files whose content is out of proportion or leads out of where it is unpacked.

    Parameters
    ----------
    path : Path
        Ends in ".keras" or ".weights.h5".
    n_weights : int, default=None
        How many numbers the model has that it is for; None where only the file says so.

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile
        By the name of what is wrong.
    """
    if path.suffix != ".keras":
        with h5py.File(path) as weights:
            _check_weights(weights, path.stat().st_size, n_weights)
        return
    with zipfile.ZipFile(path) as archive:
        _check_members(archive.infolist())
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        n_bytes = sizes.get(_WEIGHTS, 0)
        if sizes.get(_CONFIG, 0) > _SPARE + n_bytes:
            raise ValueError(
                f"its {_CONFIG} has {sizes[_CONFIG]} bytes, out of proportion to {n_bytes} bytes of weights"
            )
        if _WEIGHTS in sizes:
            with h5py.File(io.BytesIO(archive.read(_WEIGHTS))) as weights:
                n_stored = _check_weights(weights, n_bytes, n_weights)
            if n_weights is None:
                _check_proportion(archive, n_stored, n_bytes)


def load_model(path: Path, *, compile: bool) -> Any:
    """Keras' `load_model` of an archive that has been checked, in safe mode whatever else is set."""
    with safe_mode():  # keras.config.enable_unsafe_deserialization() outdoes load_model's own
        return keras.saving.load_model(path, compile=compile, safe_mode=True)


def write_arrays(file: Path | BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as `numpy.savez` does, none by pickle (its own `allow_pickle` came with NumPy 2.1).

    Raises
    ------
    ValueError
        If one holds objects.
    """
    pickled = [name for name, array in arrays.items() if np.asanyarray(array).dtype.hasobject]
    if pickled:
        raise ValueError(
            f"Object arrays cannot be saved without pickle; got {', '.join(pickled)}. Pass numbers or strings"
        )
    np.savez(file, **arrays)  # type: ignore[arg-type]


def read_arrays(file: Path | BinaryIO) -> dict[str, np.ndarray]:
    """The arrays that `numpy.savez` wrote; nothing is unpickled.

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile
        If one is compressed, or does not hold as many numbers as its header says.
    """
    with zipfile.ZipFile(file) as archive:
        _check_members(archive.infolist())
        return dict(_read_array(archive, info) for info in archive.infolist())


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[str, np.ndarray]:
    if info.file_size != info.compress_size:
        raise ValueError(f"its array {info.filename!r} is compressed; numpy.savez stores arrays as they are")
    with archive.open(info) as member:
        shape, _, dtype = _HEADERS[np.lib.format.read_magic(member)](member)
        claimed, there = dtype.itemsize * math.prod(shape), info.file_size - member.tell()
        if claimed != there and not dtype.hasobject:
            raise ValueError(f"its array {info.filename!r} should have {claimed} bytes, but has {there}")
        member.seek(0)
        array = np.lib.format.read_array(member, allow_pickle=False)
    return info.filename.removesuffix(".npy"), array


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > _MOST_MEMBERS:
        raise ValueError(f"it has {len(members)} members, more than {_MOST_MEMBERS}")
    for name, number in Counter(info.filename for info in members).items():
        path = PureWindowsPath(name)  # to which both slashes separate, and a drive leads out
        if path.anchor or ".." in path.parts:
            raise ValueError(f"its member {name!r} leads out of the folder")
        if number > 1:
            raise ValueError(f"it has {number} members called {name!r}")
    _check_expansion((info.filename, info.file_size, info.compress_size) for info in members)


def _check_expansion(sizes: Iterator[tuple[str, int, int]]) -> None:
    """Refuse what would have far more bytes in memory than in its file: names, bytes and bytes stored."""
    excess = 0
    for name, unpacked, stored in sizes:
        excess += max(0, unpacked - _MOST_EXPANSION * stored)
        if excess > _SPARE:
            raise ValueError(f"its {name!r} would unpack to {unpacked} bytes, but {stored} are stored")


def _check_weights(weights: h5py.File, n_bytes: int, n_weights: int | None) -> int:
    """How many numbers are stored, where they can be read from this file without more memory than it has."""
    datasets = dict(_datasets(weights))
    _check_expansion(
        (name, one.dtype.itemsize * math.prod(one.shape or ()), one.id.get_storage_size())
        for name, one in datasets.items()
    )
    if n_weights is not None and n_bytes > _SPARE + _BYTES_A_WEIGHT * n_weights:
        raise ValueError(f"it has {n_bytes} bytes of weights, out of proportion to a model of {n_weights}")
    return sum(math.prod(one.shape or ()) for one in datasets.values())


def _datasets(weights: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """All, by name; links and what is stored elsewhere are refused."""
    groups, seen = [weights], set()
    while groups:
        group = groups.pop()
        for name in group:
            if group.get(name, getlink=True, getclass=True) is not h5py.HardLink:
                raise ValueError(f"its {group.name}/{name} is a link to somewhere else")
            one = group[name]
            address = h5py.h5o.get_info(one.id).addr
            if address in seen:
                raise ValueError(f"its {one.name} is there twice")
            seen.add(address)
            if isinstance(one, h5py.Group):
                groups.append(one)
            elif one.external or one.is_virtual:
                raise ValueError(f"its {one.name} is stored in another file")
            else:
                yield one.name, one


def _check_proportion(archive: zipfile.ZipFile, n_stored: int, n_bytes: int) -> None:
    """Refuse a configuration of layers that have far more or far fewer weights than are stored."""
    n_weights = _n_weights(json.loads(archive.read(_CONFIG)))
    if n_weights is None:
        return
    if n_weights > _SPARE + _MOST_EXPANSION * n_stored:
        raise ValueError(f"its layers have {n_weights} weights, out of proportion to {n_stored} stored ones")
    if n_bytes > _SPARE + _BYTES_A_WEIGHT * n_weights:
        raise ValueError(f"it has {n_bytes} bytes of weights, out of proportion to layers with {n_weights}")


def _n_weights(config: dict[str, Any]) -> int | None:
    """How many numbers a model of this configuration would have; None if it cannot be said."""
    # Keras registers what it makes for the thread that it is in, and would make the variables later.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_counted, {**config, "compile_config": None}).result()


def _counted(config: dict[str, Any]) -> int | None:
    try:
        with keras.StatelessScope(initialize_variables=False), safe_mode():
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        return sum(math.prod(variable.shape) for variable in model.variables)
    except Exception:  # which Keras raises again when the model is loaded
        return None
