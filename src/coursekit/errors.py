"""Everything that can go wrong, sorted by whose move it is.

    CoursekitError
    ├── StudentError    exit 3   MissingWork, UnreadableWork, RunError
    ├── AuthorError     exit 4   SpecError, GraderError, CourseError
    └── MachineError    exit 5   SandboxError, ToolError, DeviceError, TimingError, GradebookError, StorageError

Edges turn foreign errors into these at the border. The command line is the one place that catches them;
anything else shows its traceback, because then it is a bug.
"""

from __future__ import annotations

import errno

_LONGEST = 1_000


class CoursekitError(Exception):
    """What happened, where, and how to mend it."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        what, where, fix = map(_one_line, (what, where, fix))
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


def _one_line(text: str) -> str:
    """Give the text as a terminal may show it, whoever wrote the names in it: on one line, and not too long."""
    shown = text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


class StudentError(CoursekitError):
    """The work that was handed in; its sentence is addressed to the student."""

    exit_code = 3


class MissingWork(StudentError):
    """A file that should have been handed in is not there."""


class UnreadableWork(StudentError):
    """What was handed in is there, and is not what it should be."""


class RunError(StudentError):
    """The student's code ran and did not do what it was asked."""


class AuthorError(CoursekitError):
    """An assignment, a course file or a grader; its sentence is addressed to the instructor."""

    exit_code = 4


class SpecError(AuthorError):
    """A YAML file with an unknown field, a wrong type or a value that cannot be meant."""


class GraderError(AuthorError):
    """A check that cannot do its work."""


class CourseError(AuthorError):
    """A course folder without what the command needs: a release, a submission, an assignment of this name."""


class MachineError(CoursekitError):
    """This machine or one that it uses: a program is missing, a box does not start, a database does not answer."""

    exit_code = 5


class SandboxError(MachineError):
    """No box can be made here, or one broke for a reason that is not the student's."""


class ToolError(MachineError):
    """A program or package that an engine needs is missing or of the wrong version."""


class DeviceError(MachineError):
    """A board that cannot be reached, loses its connection, or is too noisy to time anything on."""


class TimingError(MachineError):
    """Nothing can be timed here now: other work disturbs the machine, or it is too slow for these models."""


class GradebookError(MachineError):
    """The gradebook cannot be opened or written."""


class StorageError(MachineError):
    """A file of the course cannot be written: the disk is full, or the folder is not ours."""


_LACKS = {
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("the disk is full", "free some space"),
    errno.EFBIG: ("the disk is full", "free some space"),
    errno.EROFS: ("it may only be read", "see that it may be written"),
    errno.EIO: ("the disk cannot be read or written", "see what the system's log says of it"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n), or run fewer at once"),
    errno.ENFILE: ("too many files are open", "end what else runs here"),
    errno.ENOMEM: ("there is no memory left", "run fewer at once"),
    errno.EAGAIN: ("there is no room for another process", "raise the limit (ulimit -u), or run fewer at once"),
}
"""What only a machine lacks, whoever asks it for something, and how to mend that."""


def lacking(error: OSError) -> MachineError | None:
    """What the machine lacks, as an error of ours; None if this says nothing about the machine."""
    if error.errno not in _LACKS:
        return None
    what, fix = _LACKS[error.errno]
    where = error.filename if isinstance(error.filename, str) else ""
    return StorageError(f"the machine could not go on: {what}.", where=where, fix=f"{fix}, and run this again")
