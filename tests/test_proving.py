"""Proving a grader: what is written down about the reference and the wrong answers is what they earn."""

import pytest

import courses
from coursekit import proving

pytestmark = pytest.mark.box

NAME = "doubling"

CASES = {
    "hopeful": """\
why: It adds, and somebody believes that this is enough.
cells: {answer: "def double(x): return x + 5"}
""",
    "harsh": """\
why: It is right, and somebody believes that it is wrong.
cells: {answer: "def double(x): return x + x"}
earns: {five: 0}
""",
    "crashes": """\
why: It does not run, so nothing can be asked.
cells: {answer: "raise RuntimeError"}
blocked: [five, arrays]
""",
    "not-blocked": """\
why: It runs and is wrong, and somebody believes that it cannot be asked.
cells: {answer: "def double(x): return 0 * x"}
earns: {five: 0, arrays: 0, six: 0}
blocked: [arrays]
""",
}


def files(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def proofs(tmp_path_factory):
    """The proofs of what `coursekit new` makes, with more wrong answers; nothing in the course changes."""
    root = courses.make(tmp_path_factory.mktemp("proving"))
    for case, text in CASES.items():
        (root / "autograder" / NAME / "wrong" / f"{case}.yaml").write_text(text)
    before = files(root)
    found = proving.prove(root, NAME, progress=courses.quiet)
    assert files(root) == before
    return {proof.case: proof for proof in found}


def test_the_reference_comes_first_and_earns_everything(proofs):
    assert next(iter(proofs)) == proving.REFERENCE
    reference = proofs[proving.REFERENCE]
    assert reference.holds
    assert reference.earned == reference.expected == {"five": 2.0, "arrays": 3.0}


def test_what_new_makes_is_proved_before_a_word_is_changed(proofs):
    assert proofs["adds"].holds
    assert proofs["adds"].earned == {"five": 2.0, "arrays": 0.0}
    assert proofs["adds"].why.startswith("It adds instead of doubling")


def test_a_wrong_answer_that_earns_less_than_is_written_down_is_a_difference(proofs):
    assert not proofs["hopeful"].holds
    assert proofs["hopeful"].differences == ("arrays: earned 0.0, 3 is written down",)


def test_a_wrong_answer_that_earns_more_than_is_written_down_is_a_difference(proofs):
    assert not proofs["harsh"].holds
    assert proofs["harsh"].differences == ("five: earned 2.0, 0 is written down",)


def test_blocked_checks_can_be_written_down(proofs):
    assert proofs["crashes"].holds
    assert proofs["crashes"].differences == ()


def test_a_check_that_failed_where_blocked_is_written_down_is_a_difference(proofs):
    assert "arrays: failed, not blocked" in proofs["not-blocked"].differences


def test_a_check_that_is_written_down_and_does_not_exist_is_a_difference(proofs):
    assert "six: earned nothing, for there is no such check, 0 is written down" in proofs["not-blocked"].differences


def test_a_grader_that_breaks_proves_nothing(tmp_path):
    root = courses.make(tmp_path)
    (root / "autograder" / NAME / "wrong" / "adds.yaml").unlink()
    check = root / "autograder" / NAME / "test_doubling.py"
    check.write_text(check.read_text().replace("np.allclose(doubled", "np.all_close(doubled"))
    (proof,) = proving.prove(root, NAME, progress=courses.quiet)
    assert not proof.holds
    assert proof.earned["arrays"] == "unscored"
    assert any("The check 'arrays' broke" in difference for difference in proof.differences)
