"""One logger, two places: plain lines in train.log, and a terminal that a progress bar does not scroll away."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

from src.config.errors import UserError
from src.runtime.entry import WorkError

LOGGER_NAME = "ocrnet"
_FORMAT = "%(asctime)s %(message)s"


class _TqdmHandler(logging.Handler):
    """Print records above a running progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stdout)


class _LogFile(logging.FileHandler):
    """Say once that the file cannot be written: logging itself prints two tracebacks for each record."""

    _is_told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - its name in logging
        """Go on without the file; what was not written goes into it as soon as that is possible."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._is_told:
            self._is_told = True
            print(f"warning: {self.baseFilename}: lines are missing ({error.strerror}); free room", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # told when the line was written
            super().close()


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
    handler.addFilter(lambda record: not getattr(record, "file_only", False))
    if sys.stdout.isatty() and sys.stderr.isatty():
        handler.addFilter(lambda record: not getattr(record, "bar", False))
    logger.addHandler(handler)
    return logger


def log_to_file(path: Path) -> None:
    """Append every record to a file as well; where it cannot be written, that is a line on stderr and no reason to end."""
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    logging.getLogger(LOGGER_NAME).addHandler(handler)


@contextmanager
def failures_logged() -> Iterator[None]:
    """Write into the log file why the block failed: one line or, for a defect, its traceback.

    stderr is told by whoever ends the process.
    """
    try:
        yield
    except Exception as error:
        defect = None if isinstance(error, (UserError, WorkError, OSError)) else error
        logging.getLogger(LOGGER_NAME).error("error: %s", " ".join(str(error).split()), exc_info=defect, extra={"file_only": True})
        raise


def close_logging() -> None:
    """Close and remove all handlers."""
    logger = logging.getLogger(LOGGER_NAME)
    for handler in list(logger.handlers):
        handler.close()
        logger.removeHandler(handler)
