"""Text that every file and font can take."""

# Line breaks and tabs are no harm.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    r"""The text with escapes in place of halves of surrogate pairs and control characters.

    >>> print(printable("a\x00b\ud800"))
    a\x00b\ud800
    """
    return text.encode("utf-8", "backslashreplace").decode().translate(_CONTROLS)
