"""Folders that are whole or as they were: built elsewhere, then put in their place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from coursekit.making import beside

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp"})
_MOST_BYTES = 5_000_000


def put_in_place(fresh: Path, place: Path) -> Path:
    """Move a finished folder to its place; what was there is gone only when the new one stands, and is on the disk."""
    for path in (*fresh.rglob("*"), fresh):
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    place.parent.mkdir(parents=True, exist_ok=True)
    with beside(place.parent, ".old-") as old:
        before = old / place.name
        if place.exists():
            place.rename(before)
        try:
            fresh.rename(place)
        except BaseException:  # whoever stops the grader here must not take the old one away
            if before.exists() and not place.exists():
                before.rename(place)
            raise
    return place


def copy_pictures(source: Path, target: Path) -> None:
    """Copy the pictures of a release, which its text shows, to a folder beside that text."""
    for path in _pictures(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _pictures(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        plain = path.is_file() and not path.is_symlink()
        if plain and path.suffix.lower() in PICTURES and path.stat().st_size <= _MOST_BYTES:
            yield path
