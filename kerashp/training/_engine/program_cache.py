"""Which compiled program a model uses, and how long programs are kept."""

import threading
from collections import OrderedDict
from collections.abc import MutableMapping
from typing import Any
from weakref import WeakKeyDictionary

from kerashp.training._engine.program import Layout, Program
from kerashp.training._keras.identity import identity
from kerashp.training._keras.numbers import Number
from kerashp.training._runtime.devices import pinned_device

_MOST = 64

_SHARED: OrderedDict[Any, Program] = OrderedDict()
_OWN: MutableMapping[Any, tuple[Any, dict[Any, Program]]] = WeakKeyDictionary()
_LOCK = threading.Lock()


def program_for(model: Any, numbers: list[Number], layout: Layout, structures: tuple[Any, Any]) -> Program:
    """The program of the model's graph shape: one that was compiled for another model of it, if there is one.

    A model with code of the user's own has its programs for itself, for as long as it lives and is not
    compiled anew.
    """
    key = (layout, repr(structures), pinned_device())
    shape = identity(model, numbers)
    with _LOCK:
        if shape is None:
            return _own(model).setdefault(key, Program(layout, structures))
        program = _SHARED.setdefault((shape, key), Program(layout, structures))
        _SHARED.move_to_end((shape, key))
        while len(_SHARED) > _MOST:
            _SHARED.popitem(last=False)
        return program


def _own(model: Any) -> dict[Any, Program]:
    compiled = model._loss_tracker  # a new one by every model.compile
    if model not in _OWN or _OWN[model][0] is not compiled:
        _OWN[model] = (compiled, {})
    return _OWN[model][1]


def clear_cache() -> None:
    """Forget all compiled functions; each shape's next training compiles again.

    This frees their memory, except for what TensorFlow keeps until the process ends: a few MB and some dozens
    of memory maps for each shape that was compiled. Before a process has no maps left (after some 700
    different shapes, by Linux's defaults), `kerashp.fit` leaves the training to `Model.fit`, with a
    `FallbackWarning`; many more shapes than that are work for several processes.

    Examples
    --------
    >>> from kerashp.training import clear_cache
    >>> clear_cache()
    """
    with _LOCK:
        _SHARED.clear()
        _OWN.clear()
