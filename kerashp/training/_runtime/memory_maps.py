"""The memory maps of this process: Linux gives each so many, and compiled functions are made of them."""

from functools import cache
from pathlib import Path

_MOST = Path("/proc/sys/vm/max_map_count")
_OWN = Path("/proc/self/maps")
_SHARE = 0.95  # of them may be in use; a process that needs more than there are is ended by the system


def check_maps() -> None:
    """Refuse to compile where the maps run out.

    Raises
    ------
    RuntimeError
        If nearly all are in use, on systems that say so.
    """
    most = _most()
    if most is None:
        return
    with _OWN.open("rb") as lines:
        own = sum(1 for _ in lines)
    if own > _SHARE * most:
        raise RuntimeError(
            f"this process has {own} memory maps of the {most} that it may have: TensorFlow keeps every "
            "compiled function until the process ends. Go on in a new process, or raise vm.max_map_count"
        )


@cache
def _most() -> int | None:
    return int(_MOST.read_text()) if _MOST.exists() and _OWN.exists() else None
