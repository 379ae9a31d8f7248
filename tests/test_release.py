"""What students are given: everything they need, nothing that they must not see, and the same each time."""

import json
import re
from pathlib import Path

import msgspec
import pytest
import yaml

import courses
from coursekit import course, proving, release
from coursekit.errors import AuthorError, SpecError

pytestmark = pytest.mark.box

REPOSITORY = Path(__file__).parent.parent
ASSIGNMENTS = course.names(REPOSITORY)
SEED = "the seed of this term, as a test planted it"


def cells_of(file):
    nb = json.loads(file.read_text())
    return ["".join(cell["source"]) for cell in nb["cells"]]


def solutions(file):
    """The answers that are marked in a source notebook."""
    regions = (re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", cell, re.DOTALL) for cell in cells_of(file))
    return [region.strip() for found in regions for region in found]


def hidden_tests(file):
    regions = (re.findall(r"### BEGIN HIDDEN TESTS\n(.*?)### END", cell, re.DOTALL) for cell in cells_of(file))
    return [region.strip() for found in regions for region in found]


def wrong_cells(root, name):
    """The source of every cell of every known wrong answer."""
    cases = [yaml.safe_load(file.read_text()) for file in (root / "autograder" / name).glob("*/*.yaml")]
    return [source.strip() for case in cases for source in case.get("cells", {}).values()]


def text_of(folder):
    """Everything in the release that can be read, notebooks as their cells."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "\n".join(
        text for file in files for text in (cells_of(file) if file.suffix == ".ipynb" else [file.read_text()])
    )


def telling_lines(file):
    """The lines of a hidden file that nobody would write by chance."""
    return {line.strip() for line in file.read_text().splitlines() if len(line.strip()) > 40}


def assert_nothing_hidden(root, name):
    folder = root / "release" / name
    ours, hidden = root / "assignments" / name, root / "autograder" / name
    text, given = text_of(folder), {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert given <= {path.relative_to(ours) for path in ours.rglob("*")} | {Path("README.md")}
    for file in hidden.rglob("*.py"):
        public = {line for path in ours.rglob("*.py") for line in telling_lines(path)}
        for line in telling_lines(file) - public:
            assert line not in text, file
    notebook = ours / course.assignment(root, name).notebook
    for secret in (*solutions(notebook), *hidden_tests(notebook), *wrong_cells(root, name), SEED):
        assert secret not in text
    assert solutions(notebook)
    assert "BEGIN SOLUTION" not in text


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_the_release_of_every_assignment_here_holds_nothing_hidden(name):
    with proving.copied(REPOSITORY, name) as root:
        course.plant_seed(root, name, SEED)
        release.release(root, name)
        assert_nothing_hidden(root, name)


@pytest.fixture(scope="module")
def shrink(tmp_path_factory):
    """The course with a model, with data for students, and what Python leaves behind."""
    root = courses.make_shrink(tmp_path_factory.mktemp("release"))
    data = root / "assignments" / "shrink" / "data"
    data.mkdir()
    (data / "points.csv").write_text("1,2\n")
    (root / "autograder" / "shrink" / "__pycache__").mkdir()
    (root / "autograder" / "shrink" / "__pycache__" / "hidden.pyc").write_bytes(b"compiled")
    course.plant_seed(root, "shrink", SEED)
    return courses.released(root, "shrink")


def test_a_release_of_an_assignment_with_everything_holds_nothing_hidden(shrink):
    assert_nothing_hidden(shrink, "shrink")


def test_a_release_has_the_notebook_the_facts_the_public_checks_and_the_data(shrink):
    folder = shrink / "release" / "shrink"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        *("shrink.ipynb", "assignment.yaml", "README.md"),
        *("checks/test_public.py", "data/points.csv"),
    }


def test_an_assignment_without_a_readme_gets_one_that_says_what_to_do(shrink):
    text = (shrink / "release" / "shrink" / "README.md").read_text()
    assert text.startswith("# Shrink\n")
    assert "coursekit check" in text
    assert "`model.tflite`, of at most 20,000 bytes" in text
    assert "file_bytes is at most 4,000" in text


def test_releasing_again_changes_nothing(shrink):
    folder = shrink / "release" / "shrink"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    first, again = release.release(shrink, "shrink"), release.release(shrink, "shrink")
    assert first == again
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert set(first.files) == {str(path.relative_to(folder)) for path in before}
    assert msgspec.json.decode(msgspec.json.encode(first), type=type(first)) == first


@pytest.mark.parametrize("place", ["helper.py", "checks/hidden.py", "data/readme.txt"])
def test_a_hidden_file_that_lies_among_the_public_ones_stops_the_release(shrink, tmp_path, place):
    root = courses.copy(shrink, tmp_path)
    hidden = (root / "autograder" / "shrink" / "hidden.py").read_text()
    (root / "assignments" / "shrink" / place).write_text(f"# my notes\n{hidden}\n# the end")
    with pytest.raises(AuthorError, match=r"it contains autograder/shrink/hidden\.py, which students must not see"):
        release.release(root, "shrink")


def test_a_seed_that_lies_among_the_public_files_stops_the_release(shrink, tmp_path):
    root = courses.copy(shrink, tmp_path)
    (root / "assignments" / "shrink" / "data" / "seed.txt").write_text(SEED)
    with pytest.raises(AuthorError, match=r"it contains autograder/shrink/\.seed"):
        release.release(root, "shrink")


def test_a_refused_release_leaves_the_one_that_was_handed_out(shrink, tmp_path):
    root = courses.copy(shrink, tmp_path)
    before = (root / "release" / "shrink" / "shrink.ipynb").read_bytes()
    facts = root / "assignments" / "shrink" / "assignment.yaml"
    facts.write_text(facts.read_text().replace("points: 4", "points: 5"))
    with pytest.raises(SpecError, match=r"'size' is worth 5 points, and its cell in shrink\.ipynb has 4"):
        release.release(root, "shrink")
    assert (root / "release" / "shrink" / "shrink.ipynb").read_bytes() == before


def test_a_check_without_a_cell_stops_the_release(shrink, tmp_path):
    root = courses.copy(shrink, tmp_path)
    file = root / "autograder" / "shrink" / "test_shrink.py"
    file.write_text(file.read_text().replace('id="arrays"', 'id="array"'))
    with pytest.raises(SpecError, match=r"check 'array' has no cell in shrink\.ipynb") as error:
        release.release(root, "shrink")
    assert error.value.fix == "did you mean 'arrays'?"
