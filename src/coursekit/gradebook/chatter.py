"""What nbgrader says while it works: kept, so that its own sentence can reach whoever must act, and printed nowhere.

nbgrader logs an error and then raises another that only points at the log, so the first exception that was alive when
it logged is the one worth telling.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

_SHARED_LOGGERS = ("traitlets", "tornado.application")
"""Where parts of nbgrader that are given no logger write."""


class Chatter(logging.Handler):
    """Collects records of nbgrader's logs, and the exceptions they were about."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.log = logging.Logger("nbgrader", logging.INFO)  # noqa: LOG001 - outside the tree, so the root hears nothing
        self.log.addHandler(self)
        self.exceptions: list[BaseException] = []
        self.errors: list[str] = []
        self.notebook: Path | None = None
        """The notebook being converted when last heard of."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what matters of one record."""
        if record.msg == "Converting notebook %s" and isinstance(record.args, tuple):
            self.notebook = Path(str(record.args[0]))
        if record.levelno >= logging.ERROR:
            alive = sys.exception()
            if alive is not None and alive not in self.exceptions:
                self.exceptions.append(alive)
            self.errors.append(record.getMessage())

    def cause(self, raised: BaseException) -> BaseException:
        """Give the exception that explains the one that was raised."""
        return self.exceptions[0] if self.exceptions else raised


@contextlib.contextmanager
def hearing() -> Iterator[Chatter]:
    """Hear what nbgrader logs in this block."""
    chatter = Chatter()
    loggers = [logging.getLogger(name) for name in _SHARED_LOGGERS]
    propagate = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(chatter)
        logger.propagate = False
    try:
        yield chatter
    finally:
        for logger, before in zip(loggers, propagate, strict=True):
            logger.removeHandler(chatter)
            logger.propagate = before
        chatter.close()


@contextlib.contextmanager
def listening(root: Path) -> Iterator[Chatter]:
    """The same where code of the course runs: its configuration, its plugins, its hooks.

    Modules in the course folder can be imported, as under nbgrader itself, and what is printed goes to stderr, since
    stdout may be a document that a program reads.
    """
    folder = str(root)
    sys.path.insert(0, folder)
    try:
        with hearing() as chatter, contextlib.redirect_stdout(sys.stderr):
            yield chatter
    finally:
        if folder in sys.path:  # a course's configuration may edit the path too
            sys.path.remove(folder)


def one_line(text: str, longest: int = 400) -> str:
    """Give a foreign message as one line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
