"""Many models through every program in one real box, since a box for each would take minutes.

Each program runs on each model in a process of its own there, as it would in a box of its own (`crowd_driver.py`); what
it printed and how it ended goes through the engines as if a box had brought it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from coursekit import sandbox
from coursekit.measure.documents import MODEL_FILE
from coursekit.records import Finished, Limits, RunInside
from coursekit.sandbox.box import closing
from coursekit.sandbox.program import run

LIMITS = Limits(memory_bytes=2_000_000_000, output_bytes=64_000_000)
PROGRAM_SECONDS = 20
_BOX_SECONDS = 300
_DRIVER = Path(__file__).with_name("crowd_driver.py")

Endings = dict[tuple[bytes, str], Finished]
"""How each program ended on each model."""


def endings(models: Iterable[bytes]) -> Endings:
    """Run every program on every model in one box."""
    each = list(dict.fromkeys(models))
    packed = b"".join(len(model).to_bytes(4, "little") + model for model in each)
    with closing(sandbox.open_box("bwrap", LIMITS)) as box:
        driver = f"{box.work}/driver.py"
        files = {driver: _DRIVER.read_bytes(), f"{box.work}/models.bin": packed}
        done = run(box, [sys.executable, "-I", driver, str(PROGRAM_SECONDS)], files, seconds=_BOX_SECONDS)
    assert (done.returncode, done.stopped) == (0, ""), done.stderr.decode(errors="replace")[-2000:]
    found = {}
    for line in done.stdout.splitlines():
        said = json.loads(line)
        found[each[said["number"]], said["program"]] = _finished(said)
    return found


def _finished(said: Mapping[str, object]) -> Finished:
    stopped = "the time limit" if said["code"] is None else ""
    return Finished(
        returncode=-9 if said["code"] is None else int(str(said["code"])),
        stdout=str(said["out"]).encode("latin-1"),
        stderr=str(said["err"]).encode("latin-1"),
        stopped=stopped,
    )


def answering(known: Endings) -> RunInside:
    """Give a RunInside that knows how these programs ended, and makes a box for any other."""
    box: Callable[[Sequence[str], Mapping[str, bytes]], Finished] = sandbox.runner("bwrap", LIMITS)

    def inside(words: Sequence[str], files: Mapping[str, bytes]) -> Finished:
        ended = known.get((files[MODEL_FILE], words[0].rpartition(".")[2]))
        return ended or box(words, files)

    return inside
