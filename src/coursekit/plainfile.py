"""Reading one file that a student's code may have made: never through a link, never a device, never too much.

Each part of the path is opened from the one before without following links, so nothing that changes meanwhile can lead
elsewhere; opening does not wait, so a FIFO cannot hold the reader.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO

from coursekit.errors import MissingWork, UnreadableWork

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MOST_FOLDERS = 32
_PART = 1_000_000
_KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


def _parts(path: str) -> tuple[str, ...]:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or not _is_name(path):
        raise UnreadableWork(f"'{path}' is not a path inside the submission.")
    return pure.parts


def _is_name(path: str) -> bool:
    """Whether a file could be called this at all."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def _is_text(name: str) -> bool:
    """Whether the bytes of a name are UTF-8, so that it can be written down."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _parent(root: int, parts: tuple[str, ...], path: str) -> Iterator[int]:
    """The folder that holds the file, reached link by link from `root`."""
    at = os.dup(root)
    try:
        for part in parts:
            try:
                below = os.open(part, _FOLDER, dir_fd=at)
            except FileNotFoundError:
                raise MissingWork(f"There is no file '{path}'.") from None
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise UnreadableWork(
                        f"'{path}' leads through a link or a file; its folders must be real."
                    ) from None
                raise UnreadableWork(f"'{path}' cannot be opened: {error.strerror}.") from None
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)


def _refuse_unless_plain(info: os.stat_result, path: str, max_bytes: int) -> None:
    for is_kind, words in _KINDS:
        if is_kind(info.st_mode):
            raise UnreadableWork(f"'{path}' is {words}; it must be an ordinary file.")
    if info.st_nlink != 1:
        raise UnreadableWork(f"'{path}' is a link to another file; it must be an ordinary file.")
    if info.st_size > max_bytes:
        raise UnreadableWork(f"'{path}' has {info.st_size:,} bytes; at most {max_bytes:,} are accepted.")


def read_below(folder: Path, path: str, max_bytes: int) -> bytes:
    """See read_file: the same below a folder given by its path."""
    try:
        root = os.open(folder, _FOLDER)
    except OSError as error:
        raise MissingWork(f"There is no folder '{folder.name}'.") from error
    try:
        return read_file(root, path, max_bytes)
    finally:
        os.close(root)


def plain_files(folder: Path, max_bytes: int, max_files: int = 1000) -> dict[str, int]:
    """The ordinary files below a folder that holds what a stranger put there: relative path -> size.

    Links, devices, hidden files, what lies too deep or cannot be looked at, and whatever goes past `max_files` or
    `max_bytes` in all are left out.
    """
    found: dict[str, int] = {}
    left = max_bytes
    waiting = [folder]
    while waiting:
        below: list[Path] = []
        for path, info in _entries(waiting.pop()):
            if stat.S_ISDIR(info.st_mode) and len(path.relative_to(folder).parts) < _MOST_FOLDERS:
                below.append(path)
            elif stat.S_ISREG(info.st_mode) and info.st_nlink == 1:
                left -= info.st_size
                if len(found) >= max_files or left < 0:
                    return found
                found[str(path.relative_to(folder))] = info.st_size
        waiting += reversed(below)
    return found


def strange_entries(folder: Path, most: int = 1000) -> dict[str, int | str]:
    """What else lies there, as far as `plain_files` looks: relative path -> link, folder, twice, pipe or a size.

    twice is a file with another name, pipe anything that is no file, a size that of a file; `plain_files` may have it.
    """
    found: dict[str, int | str] = {}
    waiting = [folder]
    while waiting:
        below: list[Path] = []
        for path, info in _entries(waiting.pop()):
            kind: int | str = "pipe"
            if stat.S_ISDIR(info.st_mode):
                kind = "folder"
                if len(path.relative_to(folder).parts) < _MOST_FOLDERS:
                    below.append(path)
            elif stat.S_ISLNK(info.st_mode):
                kind = "link"
            elif stat.S_ISREG(info.st_mode):
                kind = info.st_size if info.st_nlink == 1 else "twice"
            if len(found) >= most:
                return found
            found[str(path.relative_to(folder))] = kind
        waiting += reversed(below)
    return found


def _entries(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """What lies in a folder, by name, without what is hidden, has gone, or has a name that is no text."""
    found = []
    try:
        names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith((".", "__pycache__")))
        names = [name for name in names if _is_text(name)]
    except OSError:  # not a folder any more, or not for us
        return []
    for name in names:
        with suppress(OSError):
            found.append((folder / name, (folder / name).lstat()))
    return found


def read_file(root: int, path: str, max_bytes: int) -> bytes:
    """The bytes of an ordinary file below the open folder `root`.

    Raises MissingWork if there is none, UnreadableWork if it is not an ordinary file of at most `max_bytes`.
    """
    *folders, name = _parts(path)
    with _parent(root, tuple(folders), path) as parent:
        try:
            info = os.stat(name, dir_fd=parent, follow_symlinks=False)
            _refuse_unless_plain(info, path, max_bytes)
            file = os.open(name, _FILE, dir_fd=parent)
        except FileNotFoundError:
            raise MissingWork(f"There is no file '{path}'.") from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise UnreadableWork(f"'{path}' is a link; it must be an ordinary file.") from None
            raise UnreadableWork(f"'{path}' cannot be opened: {error.strerror}.") from None
    with os.fdopen(file, "rb") as opened:
        _refuse_unless_plain(os.fstat(opened.fileno()), path, max_bytes)  # it may have been swapped since
        data = _read(opened, max_bytes + 1)
    if len(data) > max_bytes:
        raise UnreadableWork(f"'{path}' grew while it was read; at most {max_bytes:,} bytes are accepted.")
    return data


def _read(file: IO[bytes], most: int) -> bytes:
    """At most so many bytes, without asking for room that a small file does not need."""
    parts: list[bytes] = []
    while most > 0 and (part := file.read(min(most, _PART))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)
