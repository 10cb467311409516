"""TensorFlow's log messages, some of which are left out."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_log_messages(text: str) -> Iterator[None]:
    """Inside, TensorFlow logs no message that contains this text.

    >>> with without_log_messages("retracing"):
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
