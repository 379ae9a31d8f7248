"""Nothing twice: what a score depends on, what is kept of it, and what a change makes necessary."""

import json
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from click.testing import CliRunner
from nbgrader.api import Gradebook as TheirGradebook

import coursekit
import courses
from coursekit import course, grading, keeping, planning, shelf, wire
from coursekit.cli import cli
from coursekit.errors import CourseError
from coursekit.examination.answers import Answers, Conversation
from coursekit.examination.attempt import Attempt
from coursekit.ingredients import Ingredients, changes, run_key
from coursekit.records import Artifact, Assignment, Band, GradedCell, Late, Limits, Run, Submission, Target
from coursekit.sandbox.kernel import Answer
from coursekit.shelf import KeptRun
from coursekit.tasks import Task

NAME = "doubling"
DUE = datetime(2027, 2, 12, 23, 59, tzinfo=UTC)

# --- What a score depends on ------------------------------------------------------------------------------------------


@pytest.fixture
def plan(tmp_path):
    """A plan whose files are in `tmp_path`, with one of everything that a score can depend on."""
    texts = {
        "assignments/size/checks/test_public.py": "public",
        "autograder/size/test_size.py": "hidden",
        "autograder/size/hidden.py": "data",
        "autograder/size/wrong/case.yaml": "why: none",
        "autograder/profiles/mine.yaml": "name: mine",
        "release/size/data.csv": "1,2",
        "nbgrader_config.py": "c = get_config()",
    }
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    hidden = str(tmp_path / "autograder/size")
    cell = GradedCell(id="a", cell_type="code", source="assert f()", released_source="assert f()", points=2, grade=True)
    return grading.Plan(
        assignment=Assignment(
            name="size", title="Size", notebook="size.ipynb", due=DUE, artifact=Artifact(path="model.tflite")
        ),
        notebooks={"size": {"cells": []}},
        cells={"size": (cell,)},
        files={"data.csv": str(tmp_path / "release/size/data.csv")},
        checks=(str(tmp_path / "assignments/size/checks"), hidden),
        hidden=hidden,
        profiles=(str(tmp_path / "autograder/profiles"),),
        seed="one",
        environment_sha256="e" * 64,
        tools={"numpy": "2.1.0"},
        late=Late(percent_per_day=10, days=3),
    )


def facts(**changed):
    return lambda plan: msgspec.structs.replace(plan, assignment=msgspec.structs.replace(plan.assignment, **changed))


def of_plan(**changed):
    return lambda plan: msgspec.structs.replace(plan, **changed)


def recelled(**changed):
    return lambda plan: msgspec.structs.replace(
        plan, cells={"size": (msgspec.structs.replace(plan.cells["size"][0], **changed),)}
    )


def rewritten(path):
    def write(plan):
        file = Path(plan.hidden).parents[1] / path
        file.write_text(file.read_text() + "# more")
        return plan

    return write


TARGET = Target(id="t", metric="file_bytes", points=1, at_most=Band(pass_=2, full=1))
CHANGES = [
    (rewritten("release/size/data.csv"), "run", "release/data.csv changed"),
    (of_plan(notebooks={"size": {"cells": [1]}}), "run", "release/size.ipynb changed"),
    (recelled(source="assert f() == 2"), "run", "the released cells changed"),
    (facts(limits=Limits(seconds=5)), "run", "limits changed"),
    (facts(artifact=Artifact(path="other.tflite")), "run", "artifacts changed"),
    (facts(preload=("tensorflow",)), "run", "preload changed"),
    (of_plan(tools={"numpy": "2.2.0"}), "run", "numpy was 2.1.0 and is 2.2.0"),
    (of_plan(environment_sha256="f" * 64), "run", "the environment changed"),
    (of_plan(sandbox="none"), "run", "the sandbox was bwrap and is none"),
    (rewritten("assignments/size/checks/test_public.py"), "checks", "checks/test_public.py changed"),
    (rewritten("autograder/size/test_size.py"), "checks", "hidden/test_size.py changed"),
    (rewritten("autograder/size/hidden.py"), "checks", "hidden/hidden.py changed"),
    (rewritten("autograder/profiles/mine.yaml"), "checks", "profiles/mine.yaml changed"),
    (facts(targets=(TARGET,)), "checks", "targets and titles changed"),
    (recelled(points=3), "checks", "points changed"),
    (of_plan(seed="two"), "checks", f"the seed was {course.seed_id('one')} and is {course.seed_id('two')}"),
    (facts(due=None), "time", f"the due time was {DUE.isoformat()} and is none"),
    (of_plan(late=None), "time", "the late policy was 10 % a day for 3 days and is none"),
    (rewritten("nbgrader_config.py"), "time", "nbgrader_config.py changed"),
]


@pytest.mark.parametrize(("change", "group", "phrase"), CHANGES, ids=[phrase for _, _, phrase in CHANGES])
def test_each_thing_that_a_score_depends_on_is_named_when_it_changes(plan, tmp_path, change, group, phrase):
    before = planning.with_ingredients(tmp_path, plan).ingredients
    now = planning.with_ingredients(tmp_path, change(plan)).ingredients
    assert phrase in changes(before, now)
    assert {name for name in ("run", "checks", "time") if getattr(before, name) != getattr(now, name)} == {group} | (
        {"checks"} if phrase == "the released cells changed" else set()  # the points stand in the same cells
    )
    assert (run_key(before, "size") == run_key(now, "size")) == (group != "run")


def test_a_known_wrong_answer_is_no_reason_to_grade_again(plan, tmp_path):
    before = planning.with_ingredients(tmp_path, plan).ingredients
    assert planning.with_ingredients(tmp_path, rewritten("autograder/size/wrong/case.yaml")(plan)).ingredients == before


def test_our_own_version_and_python_s_are_among_what_a_score_depends_on(plan, tmp_path):
    run = planning.with_ingredients(tmp_path, plan).ingredients.run
    assert run["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert run["coursekit"].startswith(f"{coursekit.__version__} (")


@pytest.fixture
def submission(tmp_path):
    folder = tmp_path / "submitted/ada/size"
    folder.mkdir(parents=True)
    (folder / "size.ipynb").write_text("{}")
    return Submission(student="ada", assignment="size", folder=str(folder))


def depends(plan, submission):
    return grading.ingredients(plan, submission)


def test_what_was_handed_in_is_named_file_by_file(plan, submission):
    folder, before = Path(submission.folder), depends(plan, submission)
    (folder / "size.ipynb").write_text("{} ")
    (folder / "data").mkdir()
    (folder / "data/x.txt").write_text("x")
    now = depends(plan, submission)
    assert changes(before, now) == ("submission/size.ipynb changed", "submission/data/x.txt is new")
    (folder / "data").rename(folder / "moved")
    moved = changes(now, depends(plan, submission))
    assert moved == ("submission/data/x.txt is gone", "submission/moved/x.txt is new")


def test_a_notebook_that_becomes_a_link_or_goes_is_a_change(plan, submission, tmp_path):
    file, whole = Path(submission.folder) / "size.ipynb", depends(plan, submission)
    file.rename(tmp_path / "elsewhere")
    gone = depends(plan, submission)
    file.symlink_to(tmp_path / "elsewhere")
    linked = depends(plan, submission)
    assert whole.run != gone.run != linked.run != whole.run


def test_a_new_time_of_submission_or_extension_concerns_the_lateness_alone(plan, submission):
    before = depends(plan, submission)
    (Path(submission.folder) / "timestamp.txt").write_text("2027-02-13 10:00:00 UTC")
    extended = msgspec.structs.replace(plan, extensions={"ada": DUE + timedelta(days=1), "bob": DUE})
    now = depends(extended, submission)
    assert (now.run, now.checks) == (before.run, before.checks)
    assert len(changes(before, now)) == 2
    others = depends(msgspec.structs.replace(plan, extensions={"bob": DUE}), submission)
    assert len(changes(before, others)) == 1


# --- The shelf --------------------------------------------------------------------------------------------------------

RUN = KeptRun(key="k", whole=True, run=Run(state="finished"), executed=b"{}", artifacts={"m": b"\0\xff"}, answers={})


def test_a_run_comes_back_as_it_was_kept_and_only_its_owner_can_read_it(tmp_path):
    with shelf.locked(tmp_path):
        place = shelf.folder(tmp_path, NAME, "ada")
        shelf.put_run(place, NAME, shelf.pack(RUN))
    file = shelf.run_file(place, NAME)
    assert shelf.read_run(file) == RUN
    assert (tmp_path / shelf.FOLDER).stat().st_mode & 0o077 == 0
    assert file.stat().st_mode & 0o077 == 0


def test_a_kept_run_with_one_byte_changed_is_none(tmp_path):
    data = bytearray(shelf.pack(RUN))
    for at in range(len(data)):
        damaged = bytes((*data[:at], data[at] ^ 1, *data[at + 1 :]))
        (tmp_path / "x.run").write_bytes(damaged)
        assert shelf.read_run(tmp_path / "x.run") is None
    (tmp_path / "x.run").write_bytes(data[:-1])
    assert shelf.read_run(tmp_path / "x.run") is None


def test_a_second_grader_is_told_who_is_at_work(tmp_path):
    with (
        shelf.locked(tmp_path),
        pytest.raises(CourseError, match=r"another grader is at work .*\(process \d+\)") as told,
        shelf.locked(tmp_path),
    ):
        pytest.fail("both are in")
    assert "not be graded twice" in told.value.fix
    with shelf.locked(tmp_path):
        pass


def test_only_what_a_killed_grader_left_unfinished_is_swept_away(tmp_path):
    stays = {".gitkeep", "score.json", ".ipynb_checkpoints", ".kept.json", "notes.run.backup01"}
    for name in (*stays, ".score.json.abcd1234", ".doubling.run.x_y12345", ".grader.log.00000000"):
        (tmp_path / name).write_text("")
    for name in (".making-1", ".old-2"):
        (tmp_path / name / "below").mkdir(parents=True)
    shelf.sweep([tmp_path, tmp_path / "missing"])
    assert {path.name for path in tmp_path.iterdir()} == stays


# --- Answers ----------------------------------------------------------------------------------------------------------


class Told:
    """An attempt whose functions answer how often they were called, and that notes each call."""

    def __init__(self, known=None):
        self.task = SimpleNamespace(assignment=SimpleNamespace(limits=Limits()))
        self.answers, self.calls = Answers(known), []

    def ask(self, question, before):
        self.calls += [f"again {each.name}" for each in before] + [question.name]
        return Answer(value=wire.encode(len(self.calls)).decode(), token="t")


def asked(attempt, check, *names, arguments=(1,), seconds=None):
    conversation = Conversation(attempt, check)
    return [conversation.ask(name, arguments, seconds).value for name in names]


def test_the_same_conversation_is_answered_from_memory_call_by_call():
    first = Told()
    answers = asked(first, "a", "f", "f", "g"), asked(first, "b", "f")
    assert answers == (["1", "2", "3"], ["4"])
    second = Told(first.answers.given)
    assert (asked(second, "a", "f", "f", "g"), asked(second, "b", "f")) == answers
    assert second.calls == []
    assert second.answers.given == first.answers.given


@pytest.mark.parametrize(
    ("check", "names", "options"),
    [("c", ["f"], {}), ("a", ["g"], {}), ("a", ["f"], {"arguments": (2,)}), ("a", ["f"], {"seconds": 1.0})],
    ids=["another check", "another function", "other arguments", "another limit"],
)
def test_another_question_is_not_answered_from_memory(check, names, options):
    first = Told()
    asked(first, "a", "f")
    second = Told(first.answers.given)
    asked(second, check, *names, **options)
    assert second.calls == names


def test_what_memory_answered_is_asked_again_before_the_first_new_question():
    first = Told()
    asked(first, "a", "f", "g")
    second = Told(first.answers.given)
    asked(second, "a", "f", "g", "h", "h")
    assert second.calls == ["again f", "again g", "h", "h"]


def test_an_answer_that_a_limit_or_a_dead_kernel_made_is_not_kept():
    answers = Answers()
    answers.keep("late", Answer(stopped="it ran for more than 5 seconds"))
    answers.keep("lost", Answer(raised="NoAnswer", message="the kernel gave no answer"))
    assert answers.given == {}


@pytest.mark.parametrize("data", [b"", b"{", b'{"value": 1}', b"[" * 100_000, b"\xff"])
def test_a_kept_answer_of_another_form_is_not_known(data):
    assert Answers({"place": data}).known("place") is None


# --- Attempts ---------------------------------------------------------------------------------------------------------


def attempt(tmp_path, source, **changed):
    """A run of one cell without walls: it is ours."""
    nb = tmp_path / "nb.ipynb"
    nb.write_text(json.dumps({"cells": [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []}]}))
    limits = Limits(seconds=30, cell_seconds=0.5)
    spec = Assignment(name="x", title="X", notebook="nb.ipynb", limits=limits, artifact=Artifact(path="m.bin"))
    task = {
        "assignment": spec,
        "student": "ada",
        "notebook": str(nb),
        "submission": str(tmp_path),
        "files": {},
        "checks": (),
        "hidden": "",
        "seed": "",
        "sandbox": "none",
        "out": str(tmp_path),
        "run_key": "key",
    }
    made = Attempt(Task(**(task | changed)))
    made.begin()
    return made


@pytest.mark.box
def test_a_kept_run_stands_for_a_new_one_until_something_new_is_asked(tmp_path):
    source = "import os\nopen('m.bin', 'wb').write(os.urandom(9))\ndef f(x):\n    return x + 1"
    first = attempt(tmp_path, source)
    assert asked(first, "a", "f") == ["2"]
    first.end()
    kept = first.kept()
    assert kept.whole
    (tmp_path / "x.run").write_bytes(shelf.pack(kept))
    second = attempt(tmp_path, source, kept=str(tmp_path / "x.run"))
    assert asked(second, "a", "f") == ["2"]
    assert (second.ran, second.kernel, second.run, second.artifacts) == (False, None, first.run, first.artifacts)
    assert asked(second, "a", "f", "f") == ["2", "2"]
    assert second.ran
    second.end()
    assert second.artifacts == first.artifacts
    assert second.kept().run == first.run
    third = attempt(tmp_path, source, kept=str(tmp_path / "x.run"), run_key="another")
    third.end()
    assert third.artifacts != first.artifacts


@pytest.mark.box
def test_a_run_that_was_told_to_hurry_is_kept_for_the_eye_only(tmp_path):
    slow = attempt(tmp_path, "while True:\n    pass")
    slow.end()
    kept = slow.kept()
    assert (kept.run.state, kept.whole) == ("finished", False)
    (tmp_path / "x.run").write_bytes(shelf.pack(kept))
    again = attempt(tmp_path, "2", kept=str(tmp_path / "x.run"))
    again.end()
    assert again.ran


# --- A class ----------------------------------------------------------------------------------------------------------

SAYS_WHEN = """\
import os
print("this run is", os.urandom(8).hex())
def double(x):
    return 2 * x
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A class of three after its first grading: right, wrong, and one without a notebook."""
    root = courses.released(courses.make(tmp_path_factory.mktemp("keeping")), NAME)
    courses.submit(root, "ada", {"answer": SAYS_WHEN})
    courses.submit(root, "bob", {"answer": "def double(x):\n    return x"})
    courses.submit(root, "cyd", data=b"no notebook")
    courses.grade(root)
    return root


@pytest.fixture
def graded(template, tmp_path):
    return courses.copy(template, tmp_path)


def regrade(root, *students, **options):
    """Grade; the scores by student, and what was done with each."""
    done = []
    scores = courses.grade(root, *students, explain=done.extend, **options)
    return scores, {each.student: (each.action, each.because) for each in done}


def executed(root, student="ada"):
    return (root / "autograded" / student / NAME / f"{NAME}.ipynb").read_text()


def every_file(root):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


def hidden_check(root, old, new):
    file = root / "autograder" / NAME / f"test_{NAME}.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.box
def test_an_unchanged_class_is_left_as_it_is_to_the_last_byte(graded):
    before = every_file(graded)
    scores, done = regrade(graded)
    after = every_file(graded)
    changed = {
        path.relative_to(graded).as_posix()
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    }
    assert changed == {".kept/lock"}
    assert done == dict.fromkeys(("ada", "bob", "cyd"), ("keep", ()))
    assert [score.earned for score in scores.values()] == [5.0, 0.0, 0.0]


@pytest.mark.box
def test_changed_hidden_checks_regrade_without_running_the_notebooks_again(graded):
    before, ran = course.score(graded, "ada", NAME), executed(graded)
    hidden_check(graded, "2 * x)", "3 * x)")
    scores, done = regrade(graded)
    reason = (f"hidden/test_{NAME}.py changed",)
    assert done == dict.fromkeys(("ada", "bob", "cyd"), ("check", reason))
    assert scores["ada"].earned == 2.0
    assert scores["ada"].run == before.run
    assert executed(graded) == ran
    moved = keeping.moved(graded, NAME)
    assert [(each.student, each.before.earned, each.now.earned, each.checks, each.because) for each in moved] == [
        ("ada", 5.0, 2.0, ("arrays",), reason)
    ]


@pytest.mark.box
def test_a_new_question_runs_the_notebook_again_and_says_so(graded):
    hidden_check(graded, "size=8", "size=7")
    hidden_check(graded, "shape=(8,)", "shape=(7,)")
    scores, done = regrade(graded, "ada")
    why = "a check asks what the kept run was not asked"
    assert done == {"ada": ("run", (f"hidden/test_{NAME}.py changed", why))}
    assert scores["ada"].earned == 5.0
    assert keeping.moved(graded, NAME) == []


@pytest.mark.box
def test_force_runs_what_is_as_it_was(graded):
    ran = executed(graded)
    scores, done = regrade(graded, "ada", force=True)
    assert done["ada"] == ("run", ("it was asked for",))
    assert executed(graded) != ran
    assert scores["ada"].earned == 5.0


@pytest.mark.box
def test_a_new_submission_is_graded_and_the_others_are_not(graded):
    shutil.rmtree(graded / "submitted/bob")
    courses.submit(graded, "bob")
    _, done = regrade(graded)
    assert done == {
        "ada": ("keep", ()),
        "bob": ("run", (f"submission/{NAME}.ipynb changed",)),
        "cyd": ("keep", ()),
    }
    assert [(each.student, each.now.earned) for each in keeping.moved(graded, NAME)] == [("bob", 5.0)]


@pytest.mark.box
def test_a_new_due_time_costs_a_look_at_the_clock_and_nothing_else(graded):
    (graded / "submitted/ada" / NAME / "timestamp.txt").write_text("2027-02-13 10:00:00 UTC")
    facts_file = graded / "assignments" / NAME / "assignment.yaml"
    policy = "late: {percent_per_day: 10, days: 3}"
    facts_file.write_text(f"{facts_file.read_text()}due: {DUE.isoformat()}\n{policy}\n")
    ran = executed(graded)
    scores, done = regrade(graded)
    assert {action for action, _ in done.values()} == {"record"}
    assert (scores["ada"].grade.days_late, scores["ada"].grade.earned) == (1, 4.5)
    assert executed(graded) == ran
    assert regrade(graded)[1]["ada"] == ("keep", ())


@pytest.mark.box
def test_a_gradebook_that_was_lost_is_filled_again_without_running_anything(graded):
    (graded / "gradebook.db").unlink()
    courses.released(graded, NAME)
    shutil.rmtree(graded / "autograded/bob")
    ran = executed(graded)
    _, done = regrade(graded)
    lost = "the gradebook does not hold its points"
    assert done["ada"] == ("record", (lost,))
    assert done["bob"] == ("record", (lost, "its executed notebook is gone"))
    assert executed(graded) == ran
    with TheirGradebook(f"sqlite:///{graded}/gradebook.db") as book:
        assert {each.student.id: each.score for each in book.find_assignment(NAME).submissions} == {
            "ada": 5.0,
            "bob": 0.0,
            "cyd": 0.0,
        }


@pytest.mark.box
@pytest.mark.parametrize("path", ["scores/ada/doubling/score.json", ".kept/doubling/ada/kept.json"])
def test_a_result_that_somebody_touched_is_made_again(graded, path):
    file = graded / path
    file.write_bytes(file.read_bytes().replace(b"5.0", b"6.0").replace(b'"gradebook"', b'"ledger"'))
    scores, done = regrade(graded, "ada")
    assert done["ada"][0] in ("check", "run")
    assert scores["ada"].earned == 5.0


@pytest.mark.box
def test_a_score_that_broke_is_never_kept(graded, tmp_path):
    """A worker that dies: here the check itself ends the trusted process, once."""
    died = tmp_path / "died"
    dies_once = f"""\
    import os, pathlib
    if not pathlib.Path({str(died)!r}).exists():
        pathlib.Path({str(died)!r}).touch()
        os.kill(os.getpid(), 9)
    x = rng"""
    hidden_check(graded, "    x = rng", dies_once)
    scores, done = regrade(graded, "ada")
    assert scores["ada"].status == "unscored"
    scores, done = regrade(graded, "ada")
    assert done["ada"] == ("check", ("it has no score: something of ours broke",))
    assert (scores["ada"].status, scores["ada"].earned) == ("scored", 5.0)


# --- The commands -----------------------------------------------------------------------------------------------------


def command(root, *words):
    """A command's document."""
    done = CliRunner().invoke(cli, [*words, "--course", str(root), "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    return json.loads(done.stdout)


@pytest.mark.box
def test_the_commands_say_what_will_be_done_what_was_done_and_what_moved(graded):
    hidden_check(graded, "2 * x)", "3 * x)")
    because = [f"hidden/test_{NAME}.py changed"]
    decisions = [{"student": "ada", "action": "check", "because": because}]
    assert command(graded, "grade", NAME, "ada", "--dry-run")["decisions"] == decisions
    assert course.score(graded, "ada", NAME).earned == 5.0
    assert command(graded, "grade", NAME, "ada", "--explain")["decisions"] == decisions
    (moved,) = command(graded, "report", NAME, "--diff")["moved"]
    assert (moved["student"], moved["before"]["earned"], moved["now"]["earned"]) == ("ada", 5.0, 2.0)
    assert (moved["checks"], moved["because"]) == (["arrays"], because)
    assert not (graded / "feedback").exists()
    assert command(graded, "grade", NAME, "ada", "--force", "--dry-run")["decisions"][0]["action"] == "run"


@pytest.mark.box
def test_the_tables_are_for_people(graded):
    hidden_check(graded, "2 * x)", "3 * x)")
    words = ["grade", NAME, "ada", "bob", "--course", str(graded), "--explain"]
    said = " ".join(CliRunner().invoke(cli, words, catch_exceptions=False).stdout.split())
    assert f"ada checked again hidden/test_{NAME}.py changed" in said
    words = ["report", NAME, "--course", str(graded), "--diff"]
    said = " ".join(CliRunner().invoke(cli, words, catch_exceptions=False).stdout.split())
    assert f"ada 5 of 5 2 of 5 arrays: 3 → 0 hidden/test_{NAME}.py changed" in said
    assert "bob" not in said


def test_what_differs_is_said_in_words():
    before = Ingredients(run={"numpy": "2.1", "a": "x" * 64, "b": "1"})
    now = Ingredients(run={"numpy": "2.2", "a": "y" * 64, "c": "1"})
    assert changes(before, now) == ("numpy was 2.1 and is 2.2", "a changed", "b is gone", "c is new")
