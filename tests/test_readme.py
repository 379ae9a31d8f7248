"""The README: every command in it is run, in the order in which it stands there."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import models

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMAND = Path(sys.executable).with_name("coursekit")


def commands():
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


OURS = [words for words in commands() if words.startswith("coursekit ")]
MAKES = [words for words in commands() if words.startswith("make ")]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    (folder / "model.tflite").write_bytes(models.digit_reader())
    return folder


def run(words, folder):
    return subprocess.run([COMMAND, *shlex.split(words)[1:]], cwd=folder, capture_output=True, text=True, check=False)


def test_the_readme_has_no_command_that_this_file_does_not_know():
    assert len(OURS) + len(MAKES) == len(commands()) > 8


@pytest.mark.box
@pytest.mark.parametrize("words", OURS)
def test_a_command_of_the_readme_works_as_it_stands_there(course, words):
    if words == "coursekit grade latency":
        hand_in(course, "latency")
    done = run(words, course)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


@pytest.mark.box
def test_the_measured_table_is_what_the_command_prints(course):
    (block,) = re.findall(r"^```console\n\$ (coursekit measure .*?)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    words, shown = block
    printed = run(words, course).stdout
    rows = [line.split()[:5] for line in shown.splitlines() if "±" in line]  # profile, latency, band and status
    assert len(rows) == words.count("--profile")
    assert [row for row in rows if row not in [line.split()[:5] for line in printed.splitlines()]] == []


def hand_in(course, name):
    """A student hands in the reference."""
    folder = course / "submitted" / "ada" / name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(course / "assignments" / name / f"{name}.ipynb", folder)


@pytest.mark.parametrize("words", MAKES)
def test_make_knows_the_two_commands_of_the_first_screen(words):
    done = subprocess.run([*shlex.split(words), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.box
def test_the_demonstration_grades_six_as_it_says(tmp_path):
    """What `make demo` runs, in a course of its own."""
    for folder in ("assignments", "autograder"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns(".seed", "__pycache__"))
    done = run("coursekit demo --json", tmp_path)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)["demo"]
    scores = {score["student"]: score for score in shown["scores"]}
    assert set(scores) == {"good", "mediocre", "float-as-int8", "crashes", "loops", "peeks"}
    assert {score["status"] for score in scores.values()} == {"scored"}
    assert scores["good"]["earned"] == scores["good"]["possible"] == 70
    assert scores["mediocre"]["grade"]["days_late"] == 2
    assert scores["mediocre"]["earned"] < 70
    assert outcome(scores["float-as-int8"], "int8_only") == "failed"
    assert scores["crashes"]["run"]["failures"]
    assert "ran for more than" in json.dumps(scores["loops"]["run"])
    for page in shown["pages"].values():
        assert Path(page).read_text().startswith("<!doctype html>")
    assert Path(shown["table"]).is_file()
    assert Path(shown["gradebook"]).is_file()


def outcome(score, check):
    return next(each["outcome"] for each in score["checks"] if each["id"] == check)
