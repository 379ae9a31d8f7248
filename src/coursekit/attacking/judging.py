"""Whether an attack was held: what it earned, what came back of it, and what is left of the class around it."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from coursekit import course, proving
from coursekit.attacking.ground import CELLS, HONEST, NAMES, SECONDS, Secrets
from coursekit.attacking.pages import hazards
from coursekit.attacks import Attack
from coursekit.attacks.kinds import REFUSED, SUCCEEDED
from coursekit.gradebook import harmless
from coursekit.records import Case, Record, Score

_SPARE_SECONDS = 15.0
"""What a run may take beyond its limit: seconds to obey, and what a busy machine adds."""
_LONGEST = 160
_WORKFLOW = re.compile(rb"^(::|##\[|##vso\[)", re.MULTILINE)
_UNPRINTABLE = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_MISTAKE = re.compile(
    rf"^{REFUSED} .*?: (Name|Type|Attribute|Import|ModuleNotFound|Syntax|UnboundLocal|Index|Key)Error: "
)
_FORMULA = ("=", "+", "-", "@")


class Tried(Record, frozen=True, kw_only=True):
    """One attack, in one way."""

    way: str
    held: bool
    detail: str
    """What went wrong, or the words with which it was refused."""


def tried(attack: Attack, way: str, root: Path, secret: Secrets) -> Tried:
    """What came of one attack."""
    score = course.score(root, attack.id, attack.assignment)
    if score is None:
        return Tried(way=way, held=False, detail="it has no result at all")
    executed = _executed(root, attack)
    lines = [line for text in _texts(executed) for line in text.splitlines()]
    problems = [*_misjudged(attack, score), *_leaked(root, attack, secret), *_acting(root, attack)]
    problems += [line for line in lines if line.startswith(SUCCEEDED)]
    problems += [f"the attack itself is wrong: {line}" for line in lines if _MISTAKE.match(line)]
    evidence = "\n".join([*lines, *_sentences(score)])
    if attack.shows and not re.search(attack.shows, evidence):
        problems.append(f"nothing shows that it was tried: '{attack.shows}' is not in {evidence[-_LONGEST:]!r}")
    refused = [line.removeprefix(REFUSED).strip() for line in lines if line.startswith(REFUSED)]
    if "attempt(" in attack.source and not refused:
        problems.append(f"nothing shows that it was tried: {evidence[-_LONGEST:]!r}")
    told = problems[0] if problems else _held_with(attack, score, refused)
    return Tried(way=way, held=not problems, detail=told[:_LONGEST])


def _held_with(attack: Attack, score: Score, refused: Sequence[str]) -> str:
    """The words with which it was refused, or what it earned."""
    reason = score.run.reason if score.run else ""
    if refused or attack.stops:
        return refused[0] if refused else reason
    earned = f"{score.earned:g} of {score.possible:g} points" if score.earned != "unscored" else score.reason
    return f"{reason} {earned}".strip()


def _misjudged(attack: Attack, score: Score) -> Iterator[str]:
    """How the score differs from what is written down."""
    if not attack.accepted:
        if score.status == "scored" or "instructor" not in score.reason:
            yield f"its name was accepted: {score.reason or score.earned}"
        return
    if attack.most is not None:
        if score.earned == "unscored" or score.earned > attack.most:
            yield f"it earned {score.earned}, at most {attack.most:g} is written down. {score.reason}"
    else:
        proof = proving.judge(score.assignment, attack.name, Case(why=attack.tried, earns=attack.earns), score)
        yield from proof.differences
    reason = score.run.reason if score.run else ""
    if attack.stops not in reason or (reason and not attack.stops and not attack.hand_in):
        yield f"it ended with '{reason}', and '{attack.stops or 'nothing'}' is written down"
    limit = SECONDS + _SPARE_SECONDS
    if score.run and score.run.wall_seconds > limit:
        yield f"it took {score.run.wall_seconds:.0f} seconds, at most {limit:.0f} are expected"


def _executed(root: Path, attack: Attack) -> Mapping[str, Any]:
    file = root / "autograded" / attack.id / attack.assignment / f"{attack.assignment}.ipynb"
    found: Mapping[str, Any] = json.loads(file.read_bytes()) if file.is_file() else {"cells": []}
    return found


def _texts(executed: Mapping[str, Any]) -> Iterator[str]:
    """All text that a notebook's cells gave."""
    for cell in executed["cells"]:
        for output in cell.get("outputs", []):
            text = output.get("text", output.get("data", {}).get("text/plain", ""))
            yield text if isinstance(text, str) else "".join(map(str, text))
            yield f"{output.get('ename', '')} {output.get('evalue', '')}"


def _sentences(score: Score) -> Iterator[str]:
    """All that the score says in words."""
    yield score.run.reason if score.run else ""
    yield from score.notes
    yield from (check.hint for check in score.checks)
    yield from (waiting.reason for waiting in score.waiting)
    if score.run:
        yield from (failure.name for failure in score.run.failures)
        yield from (each.problem for each in (score.run.artifact, score.run.baseline) if each)


def _given_back(root: Path, attack: Attack) -> Iterator[Path]:
    """Every file that this student is given, or that a page for them is made of."""
    # Tests of the notebook's own run in the student's process: what that prints stays in the instructor's notebook.
    executed = () if attack.assignment == CELLS else ("autograded",)
    for kind in ("feedback", "scores", *executed):
        folder = root / kind / attack.id / attack.assignment
        yield from (path for path in folder.rglob("*") if path.is_file() and path.name != "grader.log")


def _leaked(root: Path, attack: Attack, secret: Secrets) -> Iterator[str]:
    for path in _given_back(root, attack):
        for place in secret.found_in(path.read_bytes()):
            yield f"{path.name} holds a secret: the {place}"


def _acting(root: Path, attack: Attack) -> Iterator[str]:
    """What acts in its pages and not in those of the honest submission, and in what whoever marks sees of its text."""
    for path in _given_back(root, attack):
        if path.suffix == ".html":
            twin = root / "feedback" / HONEST / attack.assignment / path.name
            usual = hazards(twin.read_text()) if twin.is_file() else Counter[str]()
            for what, count in (hazards(path.read_text()) - usual).items():
                yield f"{path.name} has {what} {count} times more than an honest page"
    texts = ("".join(cell["source"]) for cell in _executed(root, attack)["cells"] if cell["cell_type"] == "markdown")
    for text in texts:  # which is rendered for whoever marks by a program that cleans nothing
        yield from (f"formgrader would show its text with {what}" for what in hazards(harmless.rendered(text)))


# --- the class --------------------------------------------------------------------------------------------------------


def around(root: Path, attacks: Sequence[Attack], printed: bytes) -> Iterator[str]:
    """What is wrong with the class around the attacks, as far as its files and what was printed tell."""
    for name in NAMES:
        score = course.score(root, HONEST, name)
        if score is None or score.earned != score.possible:
            yield f"the honest submission of {name} earned {score.earned if score else 'nothing'}"
    if b"Traceback" in printed:
        yield "a traceback was printed"
    if found := _WORKFLOW.search(printed):
        yield f"a line for a CI system was printed: {printed[found.start() : found.start() + 40]!r}"
    if found := _UNPRINTABLE.search(printed):
        yield f"control characters were printed: {printed[found.start() : found.start() + 20]!r}"
    if any((folder / "ran").exists() for folder in (root.parent, root, root / "submitted", root / "scores")):
        yield "a name was run by a shell"
    yield from _tables(root, attacks)


def _tables(root: Path, attacks: Sequence[Attack]) -> Iterator[str]:
    """Whether the class tables that there are name everybody, and compute nothing."""
    for name in NAMES:
        if not (root / "scores" / f"{name}.csv").is_file():
            continue
        there = {each.id for each in attacks if each.assignment == name} | {HONEST}
        rows = list(csv.reader((root / "scores" / f"{name}.csv").read_text().splitlines()))[1:]
        if len(rows) != len(there):
            yield f"the table of {name} has {len(rows)} lines for {len(there)} submissions"
        for cell in (cell for row in rows for cell in row):
            if cell.startswith(_FORMULA) and not re.fullmatch(r"-?[\d.]+", cell):
                yield f"a spreadsheet would compute {cell[:40]!r}"
