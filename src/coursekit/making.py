"""A folder beside the place where something is to stand, in which it is made; gone afterwards, whatever happens."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def beside(place: Path, prefix: str = ".making-") -> Iterator[Path]:
    """An empty folder in this one. What is told to stop while it is being removed removes it all the same."""
    made = Path(tempfile.mkdtemp(dir=place, prefix=prefix))
    try:
        yield made
    finally:
        try:
            shutil.rmtree(made)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
