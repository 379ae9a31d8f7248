"""Hostile submissions, graded by the real command: as root and as an ordinary user, cold and warm."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from coursekit import attacking
from coursekit.attacking import judging, pages, ways
from coursekit.attacking.ground import Secrets
from coursekit.attacks import GROUPS, attacks
from coursekit.attacks.kinds import Attack
from coursekit.cli.attacks import siege_tables
from coursekit.errors import CourseError
from coursekit.records import Check, Run, Score

ALL = attacks()
COMMAND = str(Path(sys.executable).with_name("coursekit"))


# --- the attacks -----------------------------------------------------------------------------------------------------


def test_there_are_at_least_sixty_attacks_and_each_group_has_its_share():
    assert len(ALL) >= 60
    assert {each.group for each in ALL} == set(GROUPS)
    assert min(sum(each.group == group for each in ALL) for group in GROUPS) >= 15


def test_no_two_attacks_have_one_name_or_hand_in_under_one_id():
    assert len({each.name for each in ALL}) == len({(each.id, each.assignment) for each in ALL}) == len(ALL)


@pytest.mark.parametrize("attack", ALL, ids=lambda attack: attack.name)
def test_an_attack_says_in_a_sentence_what_is_tried_and_in_words_what_holds_it(attack):
    assert re.fullmatch(r"[A-Z].*\.", attack.tried, re.DOTALL)
    assert attack.held_by
    assert attack.source or attack.hand_in


@pytest.mark.parametrize("attack", [each for each in ALL if each.source], ids=lambda attack: attack.name)
def test_the_body_of_an_attack_is_a_cell_of_its_own(attack):
    assert compile(attack.source, attack.name, "exec")
    assert not attack.source.startswith(" ")


# --- what is judged --------------------------------------------------------------------------------------------------

ATTACK = Attack(name="sly", group="reach", tried="Try.", held_by="walls", source="attempt('it', act)")


def class_of(root, *, lines=("REFUSED it: OSError",), page="<p>Hello</p>", **changes):
    """A course in which one attack was graded."""
    checks = (Check(id="five", sentence="Five.", outcome="passed", points=2, earned=2),)
    facts = {"assignment": "fort", "student": "sly", "status": "scored", "earned": 2.0, "possible": 2.0}
    score = Score(**{**facts, "checks": checks, "run": Run(state="finished"), **changes})
    outputs = [{"output_type": "stream", "name": "stdout", "text": "\n".join(lines)}]
    files = {
        "scores/sly/fort/score.json": msgspec.json.encode(score).decode(),
        "autograded/sly/fort/fort.ipynb": json.dumps({"cells": [{"cell_type": "code", "outputs": outputs}]}),
        "feedback/sly/fort/score.html": page,
        "feedback/honest/fort/score.html": "<p>Hello</p>",
    }
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def judged(root, attack=ATTACK, secret=None):
    return judging.tried(attack, "root, warm", root, secret or Secrets())


def test_an_attack_that_was_refused_and_earned_what_it_should_is_held(tmp_path):
    found = judged(class_of(tmp_path))
    assert (found.held, found.detail) == (True, "it: OSError")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lines": ["REFUSED it: OSError", "SUCCEEDED more: 'secret'"]}, "SUCCEEDED more"),
        ({"lines": ["REFUSED it: NameError: name 'sokcet' is not defined"]}, "the attack itself is wrong"),
        ({"lines": ["nothing of ours"]}, "nothing shows that it was tried"),
        ({"page": "<p onclick=evil()>Hello</p>"}, "the handler onclick"),
        ({"page": "<script>evil()</script>"}, "<script>"),
        ({"status": "unscored", "earned": "unscored", "reason": "It broke."}, "It broke."),
        ({"checks": ()}, "five: earned nothing"),
        ({"run": Run(state="stopped", reason="It ran too long.")}, "it ended with 'It ran too long.'"),
        ({"run": Run(state="finished", wall_seconds=60)}, "it took 60 seconds"),
    ],
)
def test_an_attack_that_reached_anything_is_not_held(tmp_path, changes, words):
    attack = ATTACK if "checks" not in changes else msgspec.structs.replace(ATTACK, earns={"five": 0.0})
    found = judged(class_of(tmp_path, **changes), attack)
    assert not found.held
    assert words in found.detail


@pytest.mark.parametrize("turned", [str, lambda word: word[::-1]])
def test_a_secret_in_what_comes_back_is_found_however_it_is_turned(tmp_path, turned):
    secret = Secrets()
    found = judged(class_of(tmp_path, lines=["REFUSED it", turned(secret["hidden check"])]), secret=secret)
    assert (found.held, "the hidden check" in found.detail) == (False, True)


def test_an_attack_without_a_result_is_not_held(tmp_path):
    assert judged(tmp_path).detail == "it has no result at all"


@pytest.mark.parametrize(
    "page",
    [
        "<a href=' java\nscript:x'>",
        "<img src=//evil.example/x>",
        "<iframe srcdoc=x>",
        "<p style='background:url(x)'>",
        "<svg/onload=x>",
        "<form action=x>",
        "<meta http-equiv=refresh>",
    ],
)
def test_what_acts_in_a_page_is_found(page):
    assert pages.hazards(page)


@pytest.mark.parametrize(
    "page", ["<p>&lt;script&gt;</p>", "<a href='https://example.edu'>x</a>", "onclick=x", "<img src=x.png>"]
)
def test_what_only_looks_like_it_is_not(page):
    assert not pages.hazards(page)


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        (b"Traceback (most recent call last)", "a traceback"),
        (b"fine\n::error::owned", "a line for a CI system"),
        (b"\x1b[2J", "control characters"),
    ],
)
def test_what_a_terminal_or_a_log_would_obey_is_found(tmp_path, printed, words):
    assert any(words in each for each in judging.around(tmp_path, [], printed))


def test_a_name_that_is_no_attack_is_refused():
    with pytest.raises(CourseError, match="no attack is called tcp"):
        attacking.besiege(["tcp"], tell=print)


# --- all of it, for real ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def done():
    """`coursekit doctor --attack`, once."""
    words = [COMMAND, "doctor", "--attack", "--json"]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def siege(done):
    """What it found."""
    assert done.returncode in (0, 5), done.stderr
    return json.loads(done.stdout)


@pytest.mark.box
def test_every_attack_is_held_cold_and_warm_as_root_and_as_an_ordinary_user(siege):
    ways_tried = 4 if os.geteuid() == 0 else 2
    broken = [
        f"{verdict['attack']}, {each['way']}: {each['detail']}"
        for verdict in siege["siege"]["verdicts"]
        for each in verdict["ways"]
        if not each["held"]
    ]
    assert broken == []
    assert [len(verdict["ways"]) for verdict in siege["siege"]["verdicts"]] == [ways_tried] * len(ALL)


@pytest.mark.box
def test_nothing_around_the_attacks_is_touched_and_nothing_is_left(siege):
    assert [(each["way"], each["problems"]) for each in siege["siege"]["around"] if each["problems"]] == []
    assert siege["held"]


@pytest.mark.box
def test_without_walls_the_same_attacks_are_seen_to_succeed():
    names = ["tcp-to-the-host", "hidden-checks", "the-graders-environment", "processes-of-the-host"]
    found = attacking.besiege(
        names, among=[ways.WAYS[1]] if os.geteuid() == 0 else [ways.WAYS[3]], box="none", tell=print
    )
    assert [each.attack for each in found.verdicts if each.held] == []
    assert not any(each.detail.startswith("nothing shows") for verdict in found.verdicts for each in verdict.ways)
    assert any("a TCP port of the host was asked" in each.problems for each in found.around)


@pytest.mark.box
def test_the_table_names_each_attack_what_was_tried_and_what_held_it(siege):
    console = Console(width=200, file=io.StringIO())
    console.print(*siege_tables(msgspec.convert(siege["siege"], attacking.Siege)))
    shown = console.file.getvalue()
    assert [each.name for each in ALL if f"{each.name}: {each.tried[:20]}" not in shown] == []
    assert "a network namespace of its own" in shown
    assert f"{len(ALL) - 1} of {len(ALL)} attacks held" in shown
    assert "SECURITY.md names what is not held: objects that claim equality" in shown


@pytest.mark.box
def test_it_says_how_far_it_is(done):
    assert re.search(r"As (root|ordinary user), (cold|warm): \d+ of \d+ graded", done.stderr)
    assert "Traceback" not in done.stderr


def test_what_is_not_held_stands_in_the_threat_model():
    page = (Path(__file__).parent.parent / "SECURITY.md").read_text()
    assert [each.name for each in ALL if each.remains and each.remains not in page] == []


def test_only_without_attack_is_a_mistake_of_the_command_line():
    done = subprocess.run([COMMAND, "doctor", "--only", "x"], capture_output=True, text=True, check=False)
    assert (done.returncode, "--only goes with --attack" in done.stderr) == (2, True)
    done = subprocess.run(
        [COMMAND, "doctor", "--attack", "--sandbox", "none"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "for a sandbox with walls" in done.stderr) == (2, True)


def test_the_folder_of_the_attacked_class_is_removed_however_deep_it_is():
    with ways.folder() as place:
        assert shutil.disk_usage(place)
        subprocess.run(["/bin/sh", "-c", "for i in $(seq 1500); do mkdir d && cd d; done"], cwd=place, check=True)
    assert not place.exists()
