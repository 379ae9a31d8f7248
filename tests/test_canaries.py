"""Questions with known answers: an unchanged interpreter answers all of them, and a changed one is caught."""

import builtins
import contextlib
import math
import random

import msgspec
import numpy as np
import pytest

from coursekit import canaries
from coursekit.canaries import Question, Reply, arithmetic
from coursekit.canaries.tools import ASKED

TEST = """\
import numpy as np
assert squares(2) == [1, 4]
assert np.allclose(squares(3), [1, 4, 9]) and all(squares(2)) and len(squares(5)) == 5
np.testing.assert_allclose(squares(1), [1])
"""
HIDDEN = "assert np.allclose(squares(3), [1, 4, 9]) and all(squares(2)) and len(squares(5)) == 5\n"
RELEASED = TEST.replace(HIDDEN, "")
RAISING = {meant for meant in ASKED if ".assert_" in meant}
CLASSES = {f"builtins.{each}" for each in ("int", "float", "str", "list", "tuple", "dict", "set")}
NOT_RUN = "The cell is said to be done, and its last line was not run."
ROOTS = {"numpy": np, "math": math, "builtins": builtins}


def answer(question, names):
    """What an interpreter with these names says, without IPython around it."""
    try:
        exec(question.source, names)
    except Exception as error:  # noqa: BLE001 - as a kernel does
        raised = (type(error).__name__, str(error))
        return Reply(status="error", raised=raised, errors=(raised,))
    return Reply(status="ok", said=repr(eval(question.expression, names)) if question.expression else "")


def asked(source=TEST, release=(), *, seed=1, used=None, changed=None, **names):
    """The doubt after a cell ran among these names; `changed` alters what is replied."""
    used = canaries.tools(source, release) if used is None else used
    made = canaries.around(source, used, canaries.phrases(source), random.Random(seed))
    names = {"squares": lambda n: [i * i for i in range(1, n + 1)], **names}
    change = changed or (lambda reply: reply)
    return canaries.doubt(made, *[change(answer(each, names)) for each in (made.before, made.cell, made.after)])


# --- computations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(200))
def test_a_computation_comes_to_what_is_expected_of_it(seed):
    text, value = arithmetic.secret(random.Random(seed))
    assert eval(text, {"__builtins__": {}}) == value


@pytest.mark.parametrize("seed", range(50))
def test_conditions_hold_or_do_not_without_any_name(seed):
    rng = random.Random(seed)
    assert eval(arithmetic.true(rng), {"__builtins__": {}})
    assert not eval(arithmetic.false(rng), {"__builtins__": {}})


def test_no_two_computations_have_the_same_form():
    rng = random.Random(1)
    forms = {"".join(char for char in arithmetic.secret(rng)[0] if not char.isalnum()) for _ in range(100)}
    assert len(forms) > 50


# --- tools ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("meant", sorted(ASKED))
def test_every_tool_gives_the_known_answers(meant):
    root, _, rest = meant.partition(".")
    spelled = rest.removesuffix(" of a generator") if root == "builtins" else meant
    source = f"assert {spelled}(x for x in ())" if "generator" in rest else f"assert {spelled}"
    assert canaries.tools(source, [f"import {root}"]) == {spelled: meant}
    for seed in range(5):
        assert asked(source, [f"import {root}"], seed=seed, **({root: ROOTS[root]})) == ""


@pytest.mark.parametrize("meant", sorted(set(ASKED) - CLASSES - RAISING))
@pytest.mark.parametrize("value", [True, False, 1, 0.5])
def test_a_tool_that_always_says_the_same_is_caught(meant, value):
    said = asked("assert tool", used={"tool": meant}, tool=lambda *_, **__: value)
    assert said.startswith("'tool', which the tests use,") or only_raises(meant, value)


@pytest.mark.parametrize("meant", sorted(RAISING))
def test_a_tool_that_never_raises_is_caught(meant):
    assert asked("tool()", used={"tool": meant}, tool=lambda *_, **__: None).startswith("'tool', which the tests use,")


@pytest.mark.parametrize("meant", sorted(CLASSES))
def test_a_class_that_everything_is_an_instance_of_is_caught(meant):
    assert asked("assert tool", used={"tool": meant}, tool=object).startswith("'tool', which the tests use,")


def only_raises(meant, value):
    """Whether what the test would do with the value fails, as taking the length of a number."""
    for text, _ in ASKED[meant]("tool", random.Random(2)):
        with contextlib.suppress(TypeError):
            eval(text, {"tool": lambda *_, **__: value})
            return False
    return True


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("assert np.allclose(f(1), 2)", {"np.allclose": "numpy.allclose"}),
        ("import numpy as n\nassert n.allclose(f(1), 2)", {"n.allclose": "numpy.allclose"}),
        ("from numpy.testing import assert_equal as same\nsame(f(1), 2)", {"same": "numpy.testing.assert_equal"}),
        (
            "from numpy import testing\ntesting.assert_equal(1, 2)",
            {"testing.assert_equal": "numpy.testing.assert_equal"},
        ),
        ("%matplotlib inline\nassert all(f())", {"all": "builtins.all"}),
        ("assert model.allclose(1)", {}),
        ("assert mean(f()) == 2", {}),
        ("from numpy import testing as t\nt.assert_(1)", {"t.assert_": "numpy.testing.assert_"}),
        ("all = 3\nassert all", {}),
        ("assert (", {}),
    ],
)
def test_the_tools_of_a_test_are_those_it_names(source, found):
    assert canaries.tools(source, []) == found


def test_a_function_that_students_are_asked_to_write_is_no_tool():
    assert canaries.tools("assert round(2.5) == 3", ["def round(x):\n    raise NotImplementedError"]) == {}


def test_the_release_says_what_a_name_stands_for():
    assert canaries.tools("assert isclose(f(), 2)", ["from math import isclose"]) == {"isclose": "math.isclose"}
    assert canaries.tools("assert np.allclose(f(), 2)", ["import jax.numpy as np"]) == {}


# --- what a cell is sent as -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    ["assert f()\n2.5", "score = 2", "f()", "%%time\nassert f()", "!ls\nassert f()", "x = 1\nx += 1", "assert ("],
)
def test_nothing_is_added_to_a_cell_whose_last_line_may_be_shown_or_cannot_be_read(source):
    assert canaries.around(source, {}, (), random.Random(1)).cell.source == source


@pytest.mark.parametrize(
    "source", ["assert f()", "for i in (1,):\n    assert i", "assert f()  # last\n\n", "np.testing.assert_equal(1, 1)"]
)
def test_another_cell_ends_in_one_more_line_below_its_own(source):
    sent = canaries.around(source, {}, (), random.Random(1)).cell
    assert sent.source.startswith(source + "\n")
    assert sent.source.count("\n") == source.count("\n") + 1
    assert sent.word in sent.source.splitlines()[-1]


def test_a_question_holds_no_answer_and_nothing_of_the_test():
    made = canaries.around(TEST, canaries.tools(TEST, []), canaries.phrases(RELEASED), random.Random(1))
    for question in (made.before, made.after):
        computed = [answer for spelled, answer in question.answers if not spelled]
        assert len(computed) == 2
        assert not any(answer in question.source for answer in computed)
        assert HIDDEN not in question.source


@pytest.mark.parametrize("seed", range(20))
def test_a_question_says_what_students_know_of_the_test_and_never_does_it(seed):
    def squares(_):
        raise SystemExit

    known = canaries.phrases(RELEASED)
    made = canaries.around(TEST, {}, known, random.Random(seed))
    for question in (made.before, made.after):
        assert any(phrase in question.source for phrase in known)
        assert answer(question, {"squares": squares}).raised[0] == "AssertionError"


@pytest.mark.parametrize(
    ("released", "found"),
    [
        ("assert f(1) == 2, 'No.'\ncheck(f)", ("f(1) == 2", "check(f)")),
        ("%time f()\nassert f({1: 2}) == {3}", ("f({1: 2}) == {3}",)),
        ("assert (await f()) == 2\nassert (x := f())\nassert f(\n  1\n)", ()),
        ("assert (", ()),
    ],
)
def test_phrases_are_conditions_and_calls_that_can_stand_anywhere(released, found):
    assert canaries.phrases(released) == found


def test_no_two_runs_ask_the_same():
    one, two = (canaries.around(TEST, {}, (), random.SystemRandom()) for _ in range(2))
    sources = {each.source for made in (one, two) for each in (made.before, made.cell, made.after)}
    assert len(sources) == 6


# --- doubts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_an_honest_cell_raises_no_doubt_whether_it_passes_or_fails(seed):
    assert asked(seed=seed) == ""
    assert asked(seed=seed, squares=lambda _: [3]) == ""
    assert asked("assert squares(2) == [1, 4]\n2.5", seed=seed) == ""
    assert asked("raise SystemError('no')", seed=seed) == ""


@pytest.mark.parametrize("value", [3, None, "text", [1, 2]])
@pytest.mark.parametrize("name", ["sum", "len", "all", "abs", "max", "round"])
def test_a_variable_that_took_the_name_of_a_tool_is_no_attack(name, value):
    source = f"assert squares(2) and {name}(squares(3))"
    assert asked(source, **{name: value}) == ""
    assert asked("assert squares(2) == [1, 4]", **{name: value}) == ""


def test_a_function_of_the_student_s_that_works_as_well_is_no_attack():
    assert asked("assert sum(squares(2)) == 5", sum=math.fsum) == ""


def test_a_tool_that_is_not_there_is_no_attack():
    assert asked("import numpy as np\nassert np.allclose(squares(2), [1, 4])", np=5) == ""


def test_a_function_of_numpy_that_takes_a_generator_for_true_is_caught():
    assert asked("assert all(squares(3))", all=np.all) == ""
    assert asked("assert all(x > 0 for x in squares(3))", all=np.all).startswith("'all', which the tests use,")


def test_a_tool_that_says_yes_to_everything_is_named():
    assert asked(all=lambda _: True) == "'all', which the tests use, gave a wrong answer to a question just before it."


def quiet(reply):
    """A kernel whose errors are dropped, as after a patched `Session.send`."""
    return Reply(status=reply.status, said=reply.said, raised=reply.raised)


def cheerful(reply):
    """A kernel that says that all is well."""
    return Reply(status="ok", said=reply.said)


def forgetful(reply):
    """A kernel whose exceptions have another message."""
    raised = (reply.raised[0], "no")
    return Reply(status=reply.status, said=reply.said, raised=raised, errors=(raised,) * len(reply.errors))


def other(reply):
    """A kernel whose exceptions have another name."""
    raised = ("ValueError", reply.raised[1])
    return Reply(status=reply.status, said=reply.said, raised=raised, errors=(raised,) * len(reply.errors))


@pytest.mark.parametrize("changed", [quiet, cheerful, forgetful, other])
def test_a_changed_reply_is_caught(changed):
    assert asked(changed=changed) != ""


@pytest.mark.parametrize(
    ("reply", "doubt"),
    [
        (Reply(status="ok", said="'7'"), ""),
        (Reply(status="error", raised=("A", ""), errors=(("A", ""),)), ""),
        (Reply(status="ok", said="'7'", errors=(("A", ""),)), canaries.ENDED_AND_RAISED),
        (Reply(status="ok"), NOT_RUN),
        (Reply(status="ok", said="'8'"), NOT_RUN),
        (Reply(status="ok", errors=(("A", ""),)), NOT_RUN),
        (Reply(status="error", raised=("A", "")), "The cell raised an exception that was not shown."),
        (Reply(), NOT_RUN),
        (Reply(late=True), ""),
        (Reply(stopped=True), ""),
    ],
)
def test_a_cell_ends_or_raises_and_never_both_or_neither(reply, doubt):
    made = canaries.around("assert squares(1)", {}, (), random.Random(1))
    made = msgspec.structs.replace(made, cell=Question(source="", answers=(("", "7"),)))
    names = {"squares": int}
    assert canaries.doubt(made, answer(made.before, names), reply, answer(made.after, names)) == doubt


@pytest.mark.parametrize("reply", [Reply(late=True), Reply(stopped=True), Reply()])
def test_a_question_without_an_answer_is_a_doubt_unless_a_limit_ended_the_cell(reply):
    made = canaries.around("assert True", {}, (), random.Random(1))
    before, cell = answer(made.before, {}), Reply(status="ok", said=made.cell.answers[0][1])
    assert canaries.doubt(made, before, cell, reply) != ""
    assert canaries.doubt(made, before, Reply(late=True), None) == ""


@pytest.mark.parametrize("seed", range(60))
def test_whoever_drops_the_lines_of_a_known_test_drops_the_assert_that_must_fail(seed):
    asked = canaries.around("f(1)", {}, ("f(2) == 3",), random.Random(seed)).before
    left = "\n".join(line for line in asked.source.splitlines() if "f(2) == 3" not in line)
    assert left != asked.source
    try:
        exec(left, {})
    except AssertionError:
        pytest.fail(f"it fails as if nothing had been dropped:\n{left}")
    except SyntaxError:
        pass
