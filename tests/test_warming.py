"""What is imported ahead of time: what the released notebooks do, begun before the plan is made."""

import shutil

import msgspec
import pytest
from click.testing import CliRunner

import courses
from coursekit import planning, sandbox, warming
from coursekit.cli import cli

pytestmark = pytest.mark.box

NAME = "doubling"


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    facts = "preload: [numpy]\n"
    root = courses.released(courses.make(tmp_path_factory.mktemp("warming"), facts=facts), NAME)
    courses.submit(root, "ada")
    courses.grade(root)
    return root


@pytest.fixture
def root(graded, tmp_path):
    return courses.copy(graded, tmp_path)


def plan(root):
    return planning.plan(root, planning.facts(root)[1], NAME, "bwrap")


def begun(root, **how):
    with warming.ahead(root, NAME, **{"wanted": True, **how}) as ahead:
        return ahead.preload if ahead.kernels else None


def test_nothing_is_imported_for_a_class_that_is_graded(root):
    assert begun(root) is None


def test_somebody_who_was_never_graded_or_a_wish_to_grade_anew_begins_the_imports(root):
    assert begun(root, force=True) == ("numpy",)
    courses.submit(root, "bob")
    assert begun(root) == ("numpy",)


def test_who_handed_in_another_assignment_begins_nothing(root):
    (root / "submitted" / "bob" / "another").mkdir(parents=True)
    assert begun(root) is None


def test_nothing_is_imported_where_everything_starts_cold_or_elsewhere(root):
    courses.submit(root, "bob")
    assert begun(root, wanted=False) is None


@pytest.mark.parametrize("what", ["release", "submitted", f"assignments/{NAME}/assignment.yaml"])
def test_where_it_cannot_be_told_what_to_import_the_grading_says_why(root, what):
    courses.submit(root, "bob")
    path = root / what
    shutil.rmtree(path) if path.is_dir() else path.write_text("title: [")
    assert begun(root) is None


def test_a_guess_that_was_right_is_used_and_one_that_was_not_is_left(root):
    with warming.ahead(root, NAME, wanted=True, force=True) as ahead:
        with warming.warmed(plan(root), ahead) as warm:
            assert warm.zygotes["Notebooks"] is ahead.kernels
            assert warm.plan.zygotes.kernels == ahead.kernels.path
        other = msgspec.structs.replace(plan(root).assignment, preload=("json",))
        with warming.warmed(msgspec.structs.replace(plan(root), assignment=other), ahead) as warm:
            assert warm.zygotes["Notebooks"] is not ahead.kernels
            assert warm.plan.zygotes.kernels != ahead.kernels.path


def test_the_command_begins_before_it_plans_and_no_second_time(root, monkeypatch):
    done = []

    def noted(room, name):
        function = getattr(room, name)

        def call(*words, **named):
            done.append(name)
            return function(*words, **named)

        monkeypatch.setattr(room, name, call)

    noted(sandbox, "kernels")
    noted(planning, "facts")
    noted(planning, "plan")
    ran = CliRunner().invoke(cli, ["grade", NAME, "--force", "--course", str(root)])
    assert ran.exit_code == 0, ran.output
    assert done == ["kernels", "facts", "facts", "plan"]
