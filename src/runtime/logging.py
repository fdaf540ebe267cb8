"""One logger, two places: plain lines in train.log, and a terminal that a progress bar does not scroll away."""

import logging
import sys
from pathlib import Path

from tqdm import tqdm

LOGGER_NAME = "ocrnet"
_FORMAT = "%(asctime)s %(message)s"


class _TqdmHandler(logging.Handler):
    """Print records above a running progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stdout)


def setup_logging(rank: int = 0) -> logging.Logger:
    """Send the project's records to stdout: all of them into a file or pipe, those without `extra={'bar': True}` onto a terminal.

    stderr is left to errors and to the progress bar. Ranks other than 0 say warnings only.
    """
    logger = logging.getLogger(LOGGER_NAME)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    close_logging()
    handler = _TqdmHandler()
    handler.setFormatter(logging.Formatter("%(message)s" if sys.stdout.isatty() else _FORMAT))
    handler.setLevel(logging.INFO if rank == 0 else logging.WARNING)
    if sys.stdout.isatty() and sys.stderr.isatty():
        handler.addFilter(lambda record: not getattr(record, "bar", False))
    logger.addHandler(handler)
    return logger


def log_to_file(path: Path) -> None:
    """Append every record to a file as well."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    logging.getLogger(LOGGER_NAME).addHandler(handler)


def close_logging() -> None:
    """Close and remove all handlers."""
    logger = logging.getLogger(LOGGER_NAME)
    for handler in list(logger.handlers):
        handler.close()
        logger.removeHandler(handler)
