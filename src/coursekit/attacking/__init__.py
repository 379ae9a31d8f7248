"""Attacking the grader: every attack is handed in and graded by the real command, in every way that there is.

Each way is a class of its own: as root and as an ordinary user, with cold and with warm kernels. A class is graded,
reported, and looked at: each attack, the honest work beside it, and what is left on the machine.
"""

from __future__ import annotations

import fnmatch
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from coursekit import course, gradebook, sandbox
from coursekit.attacking import ground, judging, ways
from coursekit.attacking.judging import Tried
from coursekit.attacking.ways import Way
from coursekit.attacks import GROUPS, Attack, Group, attacks
from coursekit.errors import CourseError
from coursekit.records import Record, SandboxName

__all__ = ["Around", "Siege", "Tried", "Verdict", "besiege"]

Tell = Callable[[str], None]
"""Told how far it is, in words."""

_JOBS = 4
"""At once: attacks mostly wait for a limit."""


class Verdict(Record, frozen=True, kw_only=True):
    """One attack, and what came of it in each way."""

    attack: str
    group: Group
    tried: str
    held_by: str
    remains: str = ""
    """What of it is not held, in the words of SECURITY.md."""
    ways: tuple[Tried, ...]

    @property
    def held(self) -> bool:
        """Whether it came to what is written down in every way; one that `remains` succeeds, as SECURITY.md says."""
        return all(each.held for each in self.ways)


class Around(Record, frozen=True, kw_only=True):
    """What was around the attacks in one way: honest work, other files, processes, mounts, temporary files."""

    way: str
    seconds: float
    problems: tuple[str, ...]


class Siege(Record, frozen=True, kw_only=True):
    """All attacks, in all ways."""

    verdicts: tuple[Verdict, ...]
    around: tuple[Around, ...]
    not_tried: tuple[str, ...]
    """The ways that this user cannot try."""

    @property
    def held(self) -> bool:
        """Whether every attack was held, and nothing around them was touched."""
        return all(each.held for each in self.verdicts) and not any(each.problems for each in self.around)


def besiege(
    only: Sequence[str] = (), *, among: Sequence[Way] = ways.WAYS, box: SandboxName = "bwrap", tell: Tell
) -> Siege:
    """Try every attack, or those whose names match one of these patterns, in each way that this user can.

    Without a sandbox the attacks succeed, on the machine that one sits at; choose harmless ones.
    Raises CourseError if no attack has such a name, SandboxError if there is no sandbox to attack.
    """
    sandbox.require(box)
    chosen = [each for each in attacks() if not only or any(fnmatch.fnmatch(each.name, word) for word in only)]
    if not chosen:
        raise CourseError(f"no attack is called {' or '.join(only)}.", fix="leave the name out, and see them all")
    found: dict[str, list[Tried]] = {each.name: [] for each in chosen}
    around, possible = [], ways.possible()
    secret = ground.Secrets()
    with ways.folder() as template:
        tell("Making the course that is attacked")
        ground.make(template, secret)
        for number, way in enumerate(each for each in among if each in possible):
            class_, outcomes = _attack(template, secret, chosen, way, box, tell, reports=not number)
            around.append(class_)
            for each, outcome in zip(chosen, outcomes, strict=True):
                found[each.name].append(outcome)
    verdicts = [
        Verdict(
            attack=each.name,
            group=each.group,
            tried=each.tried,
            held_by=each.held_by,
            remains=each.remains,
            ways=tuple(found[each.name]),
        )
        for each in sorted(chosen, key=lambda each: list(GROUPS).index(each.group))
    ]
    missing = [str(way) for way in among if way not in possible]
    return Siege(verdicts=tuple(verdicts), around=tuple(around), not_tried=tuple(missing))


def _attack(
    template: Path,
    secret: ground.Secrets,
    chosen: Sequence[Attack],
    way: Way,
    box: SandboxName,
    tell: Tell,
    *,
    reports: bool,
) -> tuple[Around, list[Tried]]:
    """Grade all attacks in one way, in a copy of a released course, and look at what came of them."""
    began, token = time.monotonic(), secrets.token_hex(16)
    with ways.folder() as place, ground.traps(place) as traps:
        root, temporary, file = place / "course", place / "tmp", place / "secret"
        file.write_text(secret["file of the host"])
        temporary.mkdir()
        shutil.copytree(template, root)
        told = {name: ground.place_of(root, name, traps, file, temporary, token) for name in ground.NAMES}
        ground.hand_in(root, chosen, told, secret)
        ways.hand_over(place, way)
        before, mounted = _fingerprint(root), ways.mounted()
        environment = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(temporary),
            "TMPDIR": str(temporary),
            "GRADERS_SECRET": secret["environment"],
            "GRADERS_TOKEN": f"{token}-grader",
        }
        problems, printed = _grade(root, place, way, environment, box, len(chosen), tell, reports=reports)
        if not problems:
            problems += judging.around(root, chosen, printed)
            problems += _gradebook(root, chosen)
        problems += [f"{what} of the host was asked" for what in traps.sprung()]
        problems += ["files of the course were changed"] * (_fingerprint(root) != before)
        problems += [f"process {pid} was left running" for pid in ways.left_running(token, way)]
        problems += [f"{what} was left mounted" for what in ways.mounted() - mounted]
        problems += [f"{entry.name} was left among temporary files" for entry in temporary.iterdir()]
        outcomes = [judging.tried(each, str(way), root, secret) for each in chosen]
    seconds = round(time.monotonic() - began, 1)
    return Around(way=str(way), seconds=seconds, problems=tuple(problems)), outcomes


def _grade(
    root: Path,
    place: Path,
    way: Way,
    environment: dict[str, str],
    box: SandboxName,
    total: int,
    tell: Tell,
    *,
    reports: bool,
) -> tuple[list[str], bytes]:
    """Grade all assignments, and write their reports once, since those depend on results alone.

    What went wrong, and what was printed.
    """
    options = ["--jobs", str(_JOBS), "--sandbox", box, *(["--cold"] if way.start == "cold" else [])]
    printed = b""

    def look() -> None:
        done = sum(1 for _ in root.glob("scores/*/*/score.json"))
        tell(f"As {way.user}, {way.start}: {done} of {total + len(ground.NAMES)} graded")

    for name in ground.NAMES:
        for words in (["grade", name, *options], *([["report", name]] if reports else [])):
            look()
            said = ways.run(way, [*words, "--course", str(root)], place, environment, look)
            printed += said.printed
            if said.code:
                last = said.printed.decode(errors="replace").strip()[-300:]
                return [f"coursekit {' '.join(words)} left with {said.code}: {last}"], printed
    look()
    return [], printed


def _fingerprint(root: Path) -> str:
    """What instructors wrote and the honest student handed in, in one word."""
    submitted = root / "submitted" / ground.HONEST
    written = course.fingerprint([root / "assignments", root / "autograder", root / "release", submitted])
    seeds = [(root / "autograder" / name / ".seed").read_text() for name in ground.NAMES]
    return "".join([written, *seeds])


def _gradebook(root: Path, chosen: Sequence[Attack]) -> list[str]:
    """Whether the gradebook has everybody whom it can have."""
    due = {each.id for each in chosen if each.accepted} | {ground.HONEST}
    with gradebook.Gradebook(gradebook.settings(root)) as book:
        there = {student.id for student in book.students()}
    missing = [f"the gradebook has lost {name!r}" for name in sorted(due - there)]
    return missing + [f"the gradebook has {name!r}, who is nobody" for name in sorted(there - due)]
