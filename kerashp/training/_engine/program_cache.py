"""The compiled programs of all graph shapes, and how long they are kept."""

import threading
from collections import OrderedDict
from collections.abc import MutableMapping
from typing import Any
from weakref import WeakKeyDictionary

from kerashp._cache_folder import cache_folder, is_off
from kerashp._compat.keras import loss_tracker
from kerashp.training._engine.program import Layout, Program
from kerashp.training._keras.identity import identity
from kerashp.training._keras.numbers import Number
from kerashp.training._runtime.backend import backend
from kerashp.training._runtime.devices import pinned_device
from kerashp.training._runtime.temporary_values import VALUES_LOCK

_MAX_PROGRAMS = 64

_SHARED: OrderedDict[Any, Program] = OrderedDict()
_BY_MODEL: MutableMapping[Any, tuple[Any, dict[Any, Program]]] = WeakKeyDictionary()
_LOCK = threading.Lock()


def program_for(model: Any, numbers: list[Number], layout: Layout, structures: tuple[Any, Any]) -> Program:
    """The program of the model's graph shape, which all models of this shape share.

    A model with code of the user's own shares its programs with no other model; they are kept until it is
    deleted or compiled again.
    """
    key = (layout, repr(structures), pinned_device())
    with VALUES_LOCK:
        shape = identity(model, numbers)
    with _LOCK:
        if shape is None:
            return _programs_of(model).setdefault(key, Program(layout, structures))
        program = _SHARED.setdefault((shape, key), Program(layout, structures, f"{shape} {key}"))
        _SHARED.move_to_end((shape, key))
        while len(_SHARED) > _MAX_PROGRAMS:
            _SHARED.popitem(last=False)
        return program


def _programs_of(model: Any) -> dict[Any, Program]:
    tracker = loss_tracker(model)  # each model.compile makes a new one
    if model not in _BY_MODEL or _BY_MODEL[model][0] is not tracker:
        _BY_MODEL[model] = (tracker, {})
    return _BY_MODEL[model][1]


def clear_cache(*, disk: bool = False) -> None:
    """Forget all compiled functions; each shape's next training loads or compiles again.

    This frees their memory, except for what TensorFlow keeps until the process ends: a few MB and some dozens
    of memory maps for each shape that was compiled. Before a process has no maps left (after some 700
    different shapes, by Linux's defaults), `kerashp.fit` leaves the training to `Model.fit`, with a
    `FallbackWarning`; many more shapes than that are work for several processes.

    Parameters
    ----------
    disk : bool, default=False
        Whether to empty the program cache on disk, too: what was kept for other processes, by any version.
        It is in `$XDG_CACHE_HOME/kerashp`, else `~/.cache/kerashp`; the environment variable KERASHP_CACHE
        names another folder, or "off".

    Examples
    --------
    >>> from kerashp.training import clear_cache
    >>> clear_cache()
    """
    with _LOCK:
        _SHARED.clear()
        _BY_MODEL.clear()
    folder = cache_folder() if disk else None
    if folder is not None:
        folder.clear()


def program_cache_description() -> str:
    """Where programs are kept for other processes, and what is not kept, in one line.

    Returns
    -------
    str
        A sentence for people.

    Examples
    --------
    >>> from kerashp.training import program_cache_description
    >>> "program" in program_cache_description()
    True
    """
    folder, obstacle = cache_folder(), backend().OBSTACLE_TO_COMPILED
    if is_off():
        return "the program cache is turned off by KERASHP_CACHE=off"
    if folder is None:
        return "programs are not kept for other processes: there is no folder for them"
    if obstacle is not None:
        return f"programs are kept in {folder.path} as they are traced, not as XLA compiles them: {obstacle}"
    return f"programs are kept in {folder.path}"
