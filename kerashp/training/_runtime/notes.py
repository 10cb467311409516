"""What TensorFlow logs for its own developers."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_notes(text: str) -> Iterator[None]:
    """Inside, TensorFlow logs nothing that has this text in it.

    >>> with without_notes("retracing"):
    ...     logging.getLogger("tensorflow").warning("5 calls triggered retracing")
    """

    def keep(record: logging.LogRecord) -> bool:
        return text not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
