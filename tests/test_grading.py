"""Grading a class from end to end: scores that repeat, secrets that stay, and work that attacks only itself."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import nbgrader
import psutil
import pytest
from nbgrader.api import Gradebook as TheirGradebook

import courses
from coursekit import course, gradebook, reporting
from coursekit.examination.asking import generator

pytestmark = pytest.mark.box

NAME = "doubling"
FULL = 6.0
DUE = datetime.fromisoformat("2027-02-12T23:59:00+00:00")
FACTS = f"due: {DUE.isoformat()}\nlate: {{percent_per_day: 10, days: 3}}\n"
OWN_ASSERT = "assert double(2) == 4, 'Twice two is four.'"

# --- What students hand in --------------------------------------------------------------------------------------------

NOISY = """\
import sys
print("I0000 00:00:1 port.cc:153] oneDNN custom operations are on.", file=sys.stderr)
def double(x):
    print("W0000 cpu_feature_guard.cc:210] This TensorFlow binary is optimized", file=sys.stderr)
    return 2 * x
"""

PRINTS_A_SCORE = """\
import json
SCORE = {"schema": "coursekit/score/v1", "status": "scored", "earned": 6.0, "outcome": "passed"}
for name in ("score.json", "examination.json", "task.json"):
    open(name, "w").write(json.dumps(SCORE))
print(json.dumps(SCORE))
def double(x):
    print(json.dumps(SCORE))
    return SCORE
"""

PATCHES_THE_SESSION = """\
from jupyter_client.session import Session
send = Session.send
def forged(self, stream, message, *args, **kwargs):
    if isinstance(message, dict) and "data" in message["content"]:
        answer = '{"token": "", "value": "true", "outcome": "passed", "earned": 6}'
        message["content"]["data"] = {kind: answer for kind in message["content"]["data"]}
    return send(self, stream, message, *args, **kwargs)
Session.send = forged
def double(x):
    return x
"""

PATCHES_THE_ANSWER = """\
import coursekit.sandbox.answer as answering
answering._call = lambda *arguments: {"value": "true"}
def double(x):
    return x
"""

CLAIMS_EQUALITY = """\
class Anything(float):
    def __eq__(self, other):
        return True
    __hash__ = None
    def __array__(self, *arguments, **named):
        return self
def double(x):
    return Anything()
"""

LOOPS_ONCE = """\
def double(x):
    while isinstance(x, int) and x == 5:
        pass
    return 2 * x
"""

TELLS_WHAT_IT_IS_ASKED = """\
def double(x):
    print(x)
    open("seen.txt", "a").write(repr(x))
    if x == 5:
        return 10
    name = "_".join(map(repr, x))
    globals()["double"] = type(name, (), {"__call__": lambda self, x: x})()
    raise type(name, (ValueError,), {})(name)
"""

SHOWS_WHAT_IT_IS_ASKED = """\
def double(x):
    return 10 if isinstance(x, int) else repr(list(x))
"""


def tells_if_it_is_run(place):
    """Code that leaves a mark on the grader's machine, where no box can write."""
    return f"open({str(place)!r}, 'a').write(__name__)\nraise SystemExit('this was run')\n"


def hostile_files(place):
    code = tells_if_it_is_run(place)
    return {
        "conftest.py": code,
        "pytest.ini": "[pytest]\naddopts = --no-such-option\n",
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--no-such-option'\n",
        "sitecustomize.py": code,
        "usercustomize.py": code,
        "hostile.pth": f"import pathlib; pathlib.Path({str(place)!r}).touch()\n",
        "pytest.py": code,
        "checks/conftest.py": code,
        "checks/test_more.py": code,
        "test_more.py": code,
    }


# --- The class --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    root = courses.make(
        tmp_path_factory.mktemp("grading"), facts=FACTS, cells=(courses.check_cell("own", 1, OWN_ASSERT),)
    )
    extension = (DUE + timedelta(days=2)).isoformat()
    with (root / course.COURSE_FILE).open("a") as file:
        file.write(f"extensions: {{{NAME}: {{extended: {extension}}}}}\n")
    return courses.released(root, NAME)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where code that gets out of its box leaves a mark."""
    return tmp_path_factory.mktemp("outside") / "mark"


@pytest.fixture(scope="module")
def graded(released, place, tmp_path_factory):
    """The course after everyone was graded and reported."""
    root = courses.copy(released, tmp_path_factory.mktemp("class"))
    late = f"{DUE + timedelta(hours=30):%Y-%m-%d %H:%M:%S} UTC\n"
    courses.submit(root, "ada")
    courses.submit(root, "late", files={"timestamp.txt": late})
    courses.submit(root, "extended", files={"timestamp.txt": late})
    courses.submit(root, "timeless", files={"timestamp.txt": "the day after tomorrow"})
    courses.submit(root, "hostile", files=hostile_files(place))
    courses.submit(root, "our_name", files={"coursekit.py": tells_if_it_is_run(place)})
    courses.submit(root, "shadow", files=dict.fromkeys(("numpy.py", "msgspec.py"), tells_if_it_is_run(place)))
    courses.submit(root, "noisy", {"answer": NOISY})
    courses.submit(root, "prints", {"answer": PRINTS_A_SCORE})
    courses.submit(root, "session", {"answer": PATCHES_THE_SESSION})
    courses.submit(root, "answer", {"answer": PATCHES_THE_ANSWER})
    courses.submit(root, "claims", {"answer": CLAIMS_EQUALITY})
    courses.submit(root, "loops", {"answer": LOOPS_ONCE})
    courses.submit(root, "tells", {"answer": TELLS_WHAT_IT_IS_ASKED})
    courses.submit(root, "shows", {"answer": SHOWS_WHAT_IT_IS_ASKED})
    courses.submit(root, "untouched", {"why": stub(root, "why")})
    scores = courses.grade(root)
    reporting.report(root, NAME)
    return SimpleNamespace(root=root, scores=scores)


def stub(root, grade_id):
    """A cell as it was handed out."""
    nb = json.loads((root / "release" / NAME / f"{NAME}.ipynb").read_text())
    sources = {cell["metadata"].get("nbgrader", {}).get("grade_id"): cell["source"] for cell in nb["cells"]}
    return "".join(sources[grade_id])


def rows(root, student, name=NAME):
    """Notebook and cell -> (auto, manual, waiting), as formgrader shows them."""
    with TheirGradebook(f"sqlite:///{root}/gradebook.db") as book:
        submission = book.find_submission(name, student)
        return {
            (notebook.name, grade.name): (grade.auto_score, grade.manual_score, grade.needs_manual_grade)
            for notebook in submission.notebooks
            for grade in notebook.grades
        }


def penalty(root, student):
    with TheirGradebook(f"sqlite:///{root}/gradebook.db") as book:
        return book.find_submission(NAME, student).late_submission_penalty


# --- A score ----------------------------------------------------------------------------------------------------------


def test_a_right_answer_earns_everything_and_its_prose_waits_for_a_person(graded):
    score = graded.scores["ada"]
    assert (score.status, score.earned, score.possible) == ("scored", FULL, FULL)
    assert courses.outcomes(score) == dict.fromkeys(("five", "arrays", "own"), "passed")
    assert [(cell.id, cell.points) for cell in score.waiting] == [("why", 5.0)]


def test_an_answer_that_was_left_as_handed_out_waits_for_nobody(graded):
    assert graded.scores["untouched"].waiting == ()
    assert rows(graded.root, "untouched")[NAME, "why"] == (0.0, None, False)


def test_text_on_stderr_is_not_a_zero(graded):
    assert courses.outcomes(graded.scores["noisy"])["own"] == "passed"
    assert graded.scores["noisy"].earned == FULL


def test_a_score_says_what_it_was_computed_from_and_what_it_used(graded):
    score = graded.scores["ada"]
    provenance = score.provenance
    for digest in (provenance.submission_sha256, provenance.grader_sha256, provenance.environment_sha256):
        assert re.fullmatch(r"[0-9a-f]{64}", digest)
    assert provenance.tools["nbgrader"] == nbgrader.__version__
    assert score.run.sandbox == "bwrap"
    assert score.run.wall_seconds > 0
    assert score.run.cpu_seconds > 0
    assert score.run.peak_memory_bytes > 10_000_000


def test_scores_of_one_class_differ_only_in_what_was_handed_in(graded):
    ada, late = graded.scores["ada"].provenance, graded.scores["late"].provenance
    assert ada.grader_sha256 == late.grader_sha256
    assert ada.submission_sha256 != late.submission_sha256


def as_kept(root, student):
    """score.json without what a run used, which no two runs share."""
    text = course.score_file(root, student, NAME).read_text()
    return re.sub(r'"(wall_seconds|cpu_seconds|peak_memory_bytes)": [0-9.]+', "", text)


def test_grading_again_gives_the_same_score_byte_by_byte(graded):
    before = {student: as_kept(graded.root, student) for student in ("late", "tells")}
    courses.grade(graded.root, *before, force=True)
    assert {student: as_kept(graded.root, student) for student in before} == before


# --- Lateness ---------------------------------------------------------------------------------------------------------


def test_thirty_hours_late_are_two_days_and_cost_twenty_percent(graded):
    grade = graded.scores["late"].grade
    assert (grade.days_late, grade.penalty, grade.earned, grade.extended) == (2, 1.2, 4.8, False)
    assert penalty(graded.root, "late") == pytest.approx(1.2)


def test_an_extension_in_course_yaml_takes_the_place_of_the_due_time(graded):
    grade = graded.scores["extended"].grade
    assert (grade.days_late, grade.penalty, grade.earned, grade.extended) == (0, 0.0, FULL, True)
    assert penalty(graded.root, "extended") == 0


def test_a_timestamp_that_is_no_time_is_stated_and_costs_nothing(graded):
    score = graded.scores["timeless"]
    assert score.grade.submitted_at is None
    assert score.grade.earned == FULL
    (note,) = score.notes
    assert note.endswith("The time of submission is not known.")


# --- Work that attacks only itself ------------------------------------------------------------------------------------


def test_files_of_a_submission_never_reach_the_trusted_process(graded, place):
    assert not place.exists()
    assert graded.scores["hostile"].status == "scored"
    assert set(courses.outcomes(graded.scores["hostile"])) == {"five", "arrays", "own"}


def test_files_that_nothing_in_the_notebook_imports_cost_nothing(graded):
    assert graded.scores["hostile"].earned == FULL


@pytest.mark.parametrize(("student", "arrays"), [("our_name", "passed"), ("shadow", "failed")])
def test_a_module_that_hides_one_that_the_kernel_needs_hurts_only_its_own_box(graded, student, arrays):
    score = graded.scores[student]
    assert score.status == "scored"
    assert courses.outcomes(score)["arrays"] == arrays  # a warm kernel has imported our own module already
    assert graded.scores["ada"].earned == FULL


def test_a_printed_or_written_score_is_only_text(graded):
    score = graded.scores["prints"]
    assert courses.outcomes(score) == dict.fromkeys(("five", "arrays", "own"), "failed")
    assert score.earned == 0


def test_a_forged_message_is_no_answer(graded):
    score = graded.scores["session"]
    assert courses.outcomes(score)["five"] == courses.outcomes(score)["arrays"] == "failed"
    assert courses.by_id(score)["five"].hint == "double() raised NoAnswer: the kernel gave no answer"


def test_a_forged_answer_is_a_claim_like_any_other(graded):
    score = graded.scores["answer"]
    assert courses.outcomes(score)["five"] == courses.outcomes(score)["arrays"] == "failed"


def test_an_object_that_is_equal_to_everything_is_compared_outside(graded):
    score = graded.scores["claims"]
    assert courses.outcomes(score)["five"] == courses.outcomes(score)["arrays"] == "failed"
    assert courses.by_id(score)["five"].hint == "Twice five is ten."


def test_after_a_function_that_loops_later_checks_still_get_their_answers(graded):
    checks = courses.by_id(graded.scores["loops"])
    assert checks["five"].hint == "double() was stopped: it ran for more than 5 seconds."
    assert checks["arrays"].outcome == "passed"
    assert checks["own"].outcome == "passed"
    assert graded.scores["loops"].run.state == "finished"


# --- Secrets ----------------------------------------------------------------------------------------------------------


def every_file(root):
    """Path -> content of everything that the course holds but what is hidden by intent or for the grader alone."""
    hidden = {"autograder", ".kept"}
    shown = [path for path in root.rglob("*") if path.is_file() and not hidden & set(path.relative_to(root).parts)]
    assert (root / ".kept").stat().st_mode & 0o077 == 0
    return {path.relative_to(root): path.read_bytes() for path in shown}


def test_the_seed_is_made_once_and_named_by_an_id_that_stays(graded):
    file = graded.root / "autograder" / NAME / ".seed"
    seed = file.read_text().strip()
    assert re.fullmatch(r"[0-9a-f]{32}", seed)
    assert file.stat().st_mode & 0o077 == 0
    ids = {score.provenance.seed_id for score in graded.scores.values()}
    assert ids == {course.seed_id(seed)}
    assert course.seed(graded.root, NAME) == seed


def test_the_seed_stands_in_no_other_file(graded):
    seed = course.seed(graded.root, NAME).encode()
    assert [path for path, data in every_file(graded.root).items() if seed in data] == []


def test_hidden_inputs_stand_in_no_file_even_if_the_work_tells_them(graded):
    drawn = generator(course.seed(graded.root, NAME), "arrays").normal(size=8)
    digits = [repr(abs(float(number)))[:7].encode() for number in drawn]
    files = every_file(graded.root)
    assert len([path for path in files if "feedback" in path.parts and path.name == "score.html"]) == len(graded.scores)
    assert [path for path, data in files.items() if any(number in data for number in digits)] == []
    for student in ("tells", "shows"):
        assert courses.outcomes(graded.scores[student]) == {"five": "passed", "arrays": "failed", "own": "failed"}


# --- The gradebook ----------------------------------------------------------------------------------------------------


def test_formgrader_sees_our_points_and_what_waits(graded):
    assert rows(graded.root, "ada") == {
        (NAME, "five"): (2.0, None, False),
        (NAME, "arrays"): (3.0, None, False),
        (NAME, "own"): (1.0, None, False),
        (NAME, "why"): (None, None, True),
    }


def test_a_mark_that_a_person_gave_survives_grading_again(released, tmp_path):
    root = courses.copy(released, tmp_path)
    courses.submit(root, "ada")
    courses.grade(root)
    with TheirGradebook(f"sqlite:///{root}/gradebook.db") as book:
        grade = book.find_grade("why", NAME, NAME, "ada")
        grade.manual_score, grade.needs_manual_grade = 4.0, False
        book.find_comment("why", NAME, NAME, "ada").manual_comment = "Well said."
        book.db.commit()
    courses.grade(root, force=True)
    assert rows(root, "ada")[NAME, "why"] == (None, 4.0, True)
    with TheirGradebook(f"sqlite:///{root}/gradebook.db") as book:
        assert book.find_comment("why", NAME, NAME, "ada").manual_comment == "Well said."
        assert book.find_submission(NAME, "ada").score == FULL + 4.0


# --- Without a sandbox, and stopped -----------------------------------------------------------------------------------


def command(*words):
    return [str(Path(sys.executable).with_name("coursekit")), *words]


def test_a_score_that_was_made_without_a_sandbox_says_so(released, tmp_path):
    root = courses.copy(released, tmp_path)
    courses.submit(root, "ada")
    score = courses.grade(root, box="none")["ada"]
    assert score.earned == FULL
    assert score.run.sandbox == "none"
    assert '"sandbox": "none"' in course.score_file(root, "ada", NAME).read_text()


def test_without_bubblewrap_nothing_runs_and_the_package_is_named(released, tmp_path):
    root = courses.copy(released, tmp_path)
    courses.submit(root, "ada")
    program = os.path.realpath(shutil.which("bwrap"))
    hidden = [program, "--dev-bind", "/", "/", "--ro-bind", "/dev/null", program]  # as on a machine without it
    words = [*hidden, *command("grade", NAME, "--course", str(root), "--json")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "bubblewrap is not installed" in done.stderr
    assert "apt install bubblewrap" in json.loads(done.stdout)["fix"]
    assert not (root / "scores").exists()
    assert not (root / "autograded").exists()


def running_boxes(grader):
    """The processes below a grader, if a student's kernel is among them."""
    below = grader.children(recursive=True)
    return below if any(each.name() == "bwrap" for each in below) else []


def test_ctrl_c_leaves_finished_scores_and_no_box(released, tmp_path):
    root = courses.copy(released, tmp_path)
    courses.submit(root, "ada")
    courses.submit(root, "loops", {"answer": "while True:\n    pass"})
    words = command("grade", NAME, "--course", str(root), "--jobs", "1")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "ada" in process.stderr.readline()
        grader, below = psutil.Process(process.pid), []
        while not below:
            assert process.poll() is None
            below = running_boxes(grader)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait() == 130
    assert "Stopped. What was finished is kept" in said
    assert "Traceback" not in said
    assert psutil.wait_procs(below, timeout=10)[1] == []
    assert [path.parent.parent.name for path in (root / "scores").glob("*/*/score.json")] == ["ada"]
    assert rows(root, "ada")[NAME, "five"][0] == 2.0


# --- A plain nbgrader course ------------------------------------------------------------------------------------------

EXAMPLE = Path(nbgrader.__file__).parent / "docs" / "source" / "user_guide"
"""What `nbgrader quickstart` copies, and the submissions of bitdiddle and hacker."""


@pytest.fixture
def plain(tmp_path):
    root = tmp_path / "course101"
    shutil.copytree(EXAMPLE / "source", root / "source", ignore=shutil.ignore_patterns("*.html", "ps1_autotest"))
    shutil.copytree(EXAMPLE / "submitted", root / "submitted")
    (root / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'course101'\n"
        "c.IncludeHeaderFooter.header = 'source/header.ipynb'\n"
    )
    return root


def test_a_plain_nbgrader_course_is_graded_as_nbgrader_grades_it_cell_by_cell(plain, tmp_path):
    theirs = Path(shutil.copytree(plain, tmp_path / "theirs"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # nbgrader looks for a program called alembic
    for step in ("generate_assignment", "autograde"):
        words = [sys.executable, "-m", "nbgrader", step, "ps1"]
        subprocess.run(words, cwd=theirs, env=os.environ | {"PATH": path}, check=True, capture_output=True)
    scores = courses.grade(plain, name="ps1")
    assert set(scores) == {"bitdiddle", "hacker"}
    for student in scores:
        assert rows(plain, student, "ps1") == rows(theirs, student, "ps1")
        assert scores[student].status == "scored"
    with gradebook.Gradebook(gradebook.settings(theirs)) as book:
        totals = book.totals("ps1")
    assert {student: score.earned for student, score in scores.items()} == {
        student: total.points for student, total in totals.items()
    }


# --- cold starts ------------------------------------------------------------------------------------------------------

HOW_IT_STARTED = """\
import sys
print('warm' if 'numpy' in sys.modules else 'cold')
def double(x):
    return 2 * x
"""


@pytest.mark.parametrize(("options", "start"), [((), "warm"), (("--cold",), "cold")])
def test_kernels_start_warm_unless_they_are_told_to_start_cold_and_earn_the_same(tmp_path, options, start):
    root = courses.released(courses.make(tmp_path, facts="preload: [numpy]\n"), "doubling")
    courses.submit(root, "ada", {"answer": HOW_IT_STARTED})
    command = Path(sys.executable).with_name("coursekit")
    done = subprocess.run(
        [command, "grade", "doubling", *options, "--course", root], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    executed = json.loads((root / "autograded" / "ada" / "doubling" / "doubling.ipynb").read_text())
    printed = [output["text"] for cell in executed["cells"] for output in cell.get("outputs", [])]
    assert "".join("".join(text) for text in printed) == f"{start}\n"
    assert course.score(root, "ada", "doubling").earned == 5
