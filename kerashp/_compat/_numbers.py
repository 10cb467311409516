"""Versions as numbers, to be compared."""

import re


def numbers(version: str) -> tuple[int, ...]:
    """(3, 14, 0) of "3.14.0rc1"."""
    return tuple(map(int, re.findall(r"\d+", version)[:3]))
