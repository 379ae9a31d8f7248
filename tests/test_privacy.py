"""Nothing hidden reaches a student, nothing about a student leaves the machine, and logs name nobody."""

import base64
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from nbgrader.api import Gradebook as TheirGradebook

import courses
import secrets_told
from coursekit import batch, course, grading, parcel, planning, reporting, shelf
from secrets_told import EXPECTED, INPUT, NUMBERS, PRELUDE, SEED, TELLERS, found

pytestmark = pytest.mark.box

ASKED, TESTED = "asked", "tested"
"""Two assignments: hidden checks ask from outside in both; the second has hidden tests in its notebook too."""
FIRST, LAST, MAIL = "Zqfirstname", "Zqlastname", "zq.mail@example.org"
COLD = ("raises", "prints")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The course, released and graded: warm, and two students once more from a cold start; then reported."""
    made = tmp_path_factory.mktemp("privacy") / "course"
    for name in (ASKED, TESTED):
        secrets_told.make(made, name, own=name == TESTED)
        course.plant_seed(made, name, SEED)
        courses.released(made, name)
    for student, teller in TELLERS.items():
        courses.submit(made, student, {"answer": f"{PRELUDE}{teller}"}, name=ASKED)
    for student in ("raises", "prints", "forges"):
        hand_in_more(made, student)
    with TheirGradebook(f"sqlite:///{made}/gradebook.db") as book:
        for student in TELLERS:
            book.update_or_create_student(student, first_name=FIRST, last_name=LAST, email=MAIL)
    for name in (ASKED, TESTED):
        courses.grade(made, name=name)
        reporting.report(made, name)
    return made


def hand_in_more(root, student):
    """For the second assignment: the same functions, and a cell after the hidden tests that tells what they were."""
    nb = courses.reference(root, TESTED)
    for cell in nb["cells"]:
        if cell["id"] == "answer":
            cell["source"] = f"{PRELUDE}{TELLERS[student]}"
    nb["cells"].append({"id": "more", "cell_type": "code", "source": secrets_told.AFTERWARDS, "metadata": {}})
    nb["cells"][-1] |= {"outputs": [], "execution_count": None}
    nb["metadata"]["authors"] = [{"name": f"{FIRST} {LAST}", "email": MAIL}]
    courses.submit(root, student, name=TESTED, data=json.dumps(nb).encode())


def handed_out(root):
    """Path -> content of every file that a student gets: the releases, the feedback, and their score.json."""
    places = [root / "release", root / "feedback", root / "scores"]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    return {path.relative_to(root): path.read_bytes() for path in files if path.suffix not in {".csv", ".log"}}


# --- Nothing hidden is handed out -------------------------------------------------------------------------------------


def test_no_secret_stands_in_any_file_that_students_get(root):
    files = handed_out(root)
    kinds = {(path.parts[0], path.suffix) for path in files}
    assert kinds >= {
        ("release", ".ipynb"),
        ("release", ".yaml"),
        ("release", ".py"),
        ("feedback", ".html"),
        ("scores", ".json"),
    }
    assert len([path for path in files if path.name == "score.html"]) == len(TELLERS) + 3
    assert {str(path): told for path, data in files.items() if (told := found(data))} == {}


def test_everyone_heard_the_secrets_and_was_graded(root):
    for score in course.scores(root, ASKED):
        assert courses.outcomes(score)["spell"] in {"failed", "blocked"}, score.student
        run = shelf.read_run(shelf.run_file(shelf.folder(root, ASKED, score.student), ASKED))
        assert run.answers or score.student in {"remakes", "forges"}
    heard = shelf.read_run(shelf.run_file(shelf.folder(root, ASKED, "returns"), ASKED))
    assert INPUT.encode() in b"".join(heard.answers.values())
    ran = shelf.read_run(shelf.run_file(shelf.folder(root, TESTED, "prints"), TESTED))
    assert found(ran.executed) >= {secrets_told.HIDDEN_TEST, secrets_told.COMMENT}


def test_the_hints_of_hidden_checks_keep_the_author_s_words(root):
    scores = {score.student: courses.by_id(score) for score in course.scores(root, ASKED)}
    assert scores["returns"]["spell"].hint == "For a long word it gave …, and … letters are not it."
    assert scores["returns"]["scale"].hint == "It is off by …: … came."
    assert scores["raises"]["spell"].hint == "spell() raised an exception for an input of this check."


def test_what_a_function_takes_while_it_is_asked_is_not_told(root):
    scores = {score.student: score.run for score in course.scores(root, ASKED)}
    assert scores["remakes"].peak_memory_bytes < 300_000_000
    assert all(run.cpu_seconds > 0 for run in scores.values())


def test_a_cold_start_tells_no_more_than_a_warm_one(root):
    with batch._desk(root, ASKED, "bwrap") as (settings, desk):
        for submission in course.submissions(settings.submitted, ASKED, COLD):
            desk.keep(grading.grade(desk.plan, submission, threading.Event()))
        desk.flush()
    reporting.report(root, ASKED)
    assert {str(path): told for path, data in handed_out(root).items() if (told := found(data))} == {}


def test_a_student_s_own_check_tells_nothing_hidden(root):
    folder = root / "release" / ASKED
    notebook = folder / f"{ASKED}.ipynb"
    before = notebook.read_bytes()
    notebook.write_bytes((root / "submitted" / "prints" / ASKED / f"{ASKED}.ipynb").read_bytes())
    try:
        said = b"".join(run("check", str(folder), *words, code=1).stdout.encode() for words in ([], ["--json"]))
    finally:
        notebook.write_bytes(before)
    assert b"hidden checks were not run here" in said
    assert found(said) == set()


@pytest.mark.parametrize(
    "planted",
    [
        f"<p>{INPUT}</p>",
        INPUT[::-1],
        base64.b64encode(f"xy{EXPECTED}".encode()).decode(),
        " ".join(INPUT),
        "".join(f"&#{ord(char)};" for char in EXPECTED),
        "".join(f"\\u{ord(char):04x}" for char in EXPECTED),
        f"{NUMBERS[0]:.2f}",
        f"{secrets_told.WANTED - 1:.6f}",
        str(int(NUMBERS[0] * 10**6)),
        SEED.upper(),
    ],
)
def test_a_secret_that_is_planted_is_found(planted):
    assert found(b"before") == set()
    assert found(f"before {planted} after".encode())


def run(*words, code=0, env=None, before=()):
    """The real command."""
    program = str(Path(sys.executable).with_name("coursekit"))
    done = subprocess.run([*before, program, *words], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == code, done.stderr[-2_000:]
    return done


# --- Logs carry ids ---------------------------------------------------------------------------------------------------


def test_no_name_stands_in_what_grading_prints_keeps_or_sends(root):
    done = run("grade", TESTED, "--force", "--explain", "--course", str(root))
    report = run("report", TESTED, "--course", str(root))
    said = {"printed": f"{done.stdout}{done.stderr}{report.stdout}{report.stderr}".encode()}
    kept = [path for place in ("scores", ".kept", "feedback", "autograded") for path in (root / place).rglob("*")]
    said |= {str(path.relative_to(root)): path.read_bytes() for path in kept if path.is_file()}
    plan = planning.plan(root, planning.facts(root)[1], TESTED, "bwrap")
    said["the plan for a worker"] = parcel.pack_plan(plan)
    for submission in course.submissions(root / "submitted", TESTED):
        sent = msgspec.msgpack.decode(parcel.pack_submission(submission, {}))
        assert FIRST.encode() in sent.pop("files")[f"{TESTED}.ipynb"]  # what they wrote themselves
        said[f"what else is sent of {submission.student}"] = repr(sent).encode()
    assert {"raises", "prints", "forges"} <= {word for word in said["printed"].decode().split() if word.islower()}
    assert [where for where, data in said.items() if any(name.encode() in data for name in (FIRST, LAST, MAIL))] == []


# --- Nothing leaves the machine ---------------------------------------------------------------------------------------

COUNT = "import re, sys; print(sum(map(int, re.findall(r'{}', open('/proc/net/snmp6').read()))))"
CONNECTS = "import socket; socket.socket().connect(('192.0.2.1', 9))"


def without_network(root, *commands):
    """Run these where there is no network at all; their output, and how many packets found no way out."""
    script = "".join(f"{command} || exit 9\n" for command in commands) + "cat /proc/net/snmp /proc/net/snmp6"
    alone = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--user", "--map-current-user", "--net"]
    done = subprocess.run([*alone, "sh", "-c", script], cwd=root, capture_output=True, text=True, check=False)
    names, figures = (line.split() for line in done.stdout.splitlines() if line.startswith("Ip: "))
    lost = int(figures[names.index("OutNoRoutes")])
    lost += sum(int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("Ip6OutNoRoutes"))
    return SimpleNamespace(said=done.stdout, code=done.returncode, errors=done.stderr, lost=lost)


def test_release_grade_report_and_check_work_without_a_network_and_never_try_one(tmp_path):
    courses.make(tmp_path)
    courses.submit(tmp_path, "ada")
    program = Path(sys.executable).with_name("coursekit")
    words = (
        "release doubling",
        "grade doubling",
        "report doubling",
        "check release/doubling --json > check.json; test $? = 1",
    )
    done = without_network(tmp_path, *(f"{program} {each}" for each in words))
    assert done.code == 0, done.errors
    assert course.score(tmp_path, "ada", "doubling").earned == 5.0
    assert (tmp_path / "feedback" / "ada" / "doubling" / "score.html").is_file()
    assert json.loads((tmp_path / "check.json").read_text())["score"]["status"] == "scored"
    assert done.lost == 0


def test_a_program_that_tries_the_network_is_seen(tmp_path):
    done = without_network(tmp_path, f'{sys.executable} -c "{CONNECTS}" 2>/dev/null || true')
    assert done.lost > 0


def test_a_page_of_feedback_fetches_nothing(root):
    for page in (root / "feedback").rglob("*.html"):
        text = page.read_text()
        for fetching in (
            'src="http',
            "src='http",
            'src="//',
            "url(http",
            "@import",
            '<link rel="stylesheet" href="http',
        ):
            assert fetching not in text, (page.name, fetching)
