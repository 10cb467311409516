"""Text that can be written to any file and in any font."""

# All but line breaks and tabs.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    r"""The text with escapes for unpaired surrogates and control characters.

    >>> print(printable("a\x00b\ud800"))
    a\x00b\ud800
    """
    return text.encode("utf-8", "backslashreplace").decode().translate(_CONTROLS)
