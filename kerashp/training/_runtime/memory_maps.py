"""The memory maps of this process, which compiled functions use, and whose number Linux limits."""

from functools import cache
from pathlib import Path

_MAX_COUNT = Path("/proc/sys/vm/max_map_count")
_MAPS = Path("/proc/self/maps")
_SHARE = 0.95  # of them may be in use; the system kills a process that needs more


def check_maps() -> None:
    """Refuse to compile where the maps run out.

    Raises
    ------
    RuntimeError
        If nearly all are in use, on systems that say so.
    """
    limit = _max_map_count()
    if limit is None:
        return
    with _MAPS.open("rb") as lines:
        n_maps = sum(1 for _ in lines)
    if n_maps > _SHARE * limit:
        raise RuntimeError(
            f"this process has {n_maps} memory maps of at most {limit}: TensorFlow keeps every compiled "
            "function until the process ends. Continue in a new process, or raise vm.max_map_count"
        )


@cache
def _max_map_count() -> int | None:
    return int(_MAX_COUNT.read_text()) if _MAX_COUNT.exists() and _MAPS.exists() else None
