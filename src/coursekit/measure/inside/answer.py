"""How a program in the box answers: its standard output holds the answer and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from coursekit.errors import UnreadableWork
from coursekit.measure.documents import MODEL_FILE, Problem


def answer(work: Callable[[bytes], bytes | msgspec.Struct]) -> None:
    """Give the model file to `work` and print what it returns: bytes as they are, a record as JSON.

    Native libraries print to descriptor 1 as they please; from here on that is the standard error. `UnreadableWork` is
    an answer, and so is a lack of memory, because a program that has the model's size to spare lacks none. Any other
    exception ends the program with a traceback, because then it is our fault and not the model's.
    """
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        try:
            said = work(Path(MODEL_FILE).read_bytes())
        except UnreadableWork as error:
            said = Problem(what=error.what, fix=error.fix)
        except MemoryError:
            said = Problem(what="Your model needs more memory than it may have while it is measured.")
        out.write(said if isinstance(said, bytes) else msgspec.json.encode(said))
