"""Grade one submission again and again beside busy processes: how many scores differ.

Grades the reference of one assignment again and again while busy processes fight it for the cores, with a latency
target on every board that has one, and compares what each grading says: outcomes, points and every measured figure,
byte for byte. Run it with `make bench-repeat`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import yaml

from coursekit import grading, planning, profiles, proving, release, sandbox, warming
from coursekit.records import Case, Score, Submission

ROOT = Path(__file__).parents[1]
BUSY = "while True: sum(number * number for number in range(100_000))"


def main() -> int:
    """Print how many of the gradings differ from the first; leave with 1 if any does."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--assignment", default="quantize")
    options.add_argument("--times", type=int, default=20)
    options.add_argument("--busy", type=int, default=3, help="processes that compute beside it")
    asked = options.parse_args()
    sandbox.require("bwrap")
    boards = [name for name in profiles.names() if "latency_ms" in profiles.load(name).engines]
    with proving.copied(ROOT, asked.assignment) as course, busy(asked.busy):
        ask_for_latencies(course / "assignments" / asked.assignment, boards)
        release.release(course, asked.assignment)
        _, settings = planning.facts(course)
        (submission,) = proving.hand_in(course, asked.assignment, settings.submitted, {"again": Case(why="repeat")})
        with warming.warmed(planning.plan(course, settings, asked.assignment, "bwrap")) as warm:
            scores = [graded(warm.plan, submission, number, asked.times) for number in range(1, asked.times + 1)]
    return told(scores, boards, asked.busy)


def graded(plan: grading.Plan, submission: Submission, number: int, times: int) -> Score:
    """Grade once, and say how long it took."""
    began = time.monotonic()
    score = grading.grade(plan, submission, threading.Event()).score
    print(f"{number:3} of {times}: {score.earned} of {score.possible:g}, {time.monotonic() - began:.0f} s", flush=True)
    return score


def told(scores: list[Score], boards: list[str], busy_beside: int) -> int:
    """Print which checks differ between the gradings, and how many scores do."""
    said = [{check.id: msgspec.json.encode(check) for check in score.checks} for score in scores]
    for name in said[0]:
        kinds = Counter(each.get(name) for each in said)
        if len(kinds) > 1:
            print(f"{name} is not always the same: {sorted(kinds.items(), key=str)}")
    figures = sum(check.measurement is not None for check in scores[0].checks)
    different = sum(each != said[0] for each in said)
    unscored = sum(score.status == "unscored" for score in scores)
    asked = f"{len(said[0])} checks, {figures} measured figures, {len(boards)} of them latencies"
    print(f"{len(scores)} gradings of one submission beside {busy_beside} busy processes: {different} scores differ.")
    print(f"Each has {asked}; {unscored} are without a score.")
    return 1 if different or unscored else 0


def ask_for_latencies(folder: Path, boards: list[str]) -> None:
    """Give the copied assignment a target on each board, and its notebook the cells that they need."""
    spec, sheet = folder / "assignment.yaml", next(folder.glob("*.ipynb"))
    facts, notebook = yaml.safe_load(spec.read_text()), json.loads(sheet.read_text())
    model = next(cell for cell in notebook["cells"] if "grade" in cell["metadata"].get("nbgrader", {}))
    for board in boards:
        name = f"on-{board.replace('.', '-')}"
        target = {"id": name, "metric": "latency_ms", "profile": board, "points": 1}
        facts["targets"].append({**target, "at_most": {"pass": 1e6, "full": 1e5}})
        marks = {**model["metadata"]["nbgrader"], "grade_id": name, "points": 1, "cell_type": "code"}
        marks |= {"grade": True, "locked": True, "solution": False, "task": False}
        cell = {"cell_type": "code", "execution_count": None, "id": name[:60], "outputs": [], "source": [f"# {name}"]}
        notebook["cells"].append({**cell, "metadata": {"nbgrader": marks}})
    spec.write_text(yaml.safe_dump(facts))
    sheet.write_text(json.dumps(notebook))


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep so many processes computing meanwhile."""
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
