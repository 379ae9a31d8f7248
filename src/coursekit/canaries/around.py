"""What is run around one test cell, and what its replies say about the interpreter that the test ran in."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping, Sequence
from random import Random

from coursekit.canaries import arithmetic
from coursekit.canaries.tools import RAISED, Ask, asks
from coursekit.records import Record

_COMPUTED = ""
"""The name under which answers stand that come from no tool."""
_FAILURE = "AssertionError"

ENDED_AND_RAISED = "The cell came to its end, and an exception was shown for it all the same."

_SHOWS = ast.Expr | ast.Assign | ast.AnnAssign | ast.AugAssign
"""Last statements whose value a cell may show, which nbgrader reads as partial credit: nothing may stand after them."""


class Question(Record, frozen=True, kw_only=True):
    """Code for the kernel, and what must come of it."""

    source: str
    expression: str = ""
    """What is to be evaluated once the code is done; empty if an assert in it must fail, with the answers."""
    answers: tuple[tuple[str, str], ...]
    """Tool -> its answer, in the order of the answers; the empty name for a computation."""
    word: str = ""
    """What marks a line that is added to the cell, so that it is shown to nobody."""


class Reply(Record, frozen=True, kw_only=True):
    """What a kernel said to a question. All of it may be made up."""

    status: str = ""
    """Of its reply: ok, error, or empty if there was none."""
    said: str = ""
    """The value of the expression, as text."""
    raised: tuple[str, str] = ("", "")
    """The exception in its reply, name and message."""
    errors: tuple[tuple[str, str], ...] = ()
    """The exceptions that were published."""
    late: bool = False
    stopped: bool = False


class Canaries(Record, frozen=True, kw_only=True):
    """The questions around one cell, and the cell itself as it is sent."""

    before: Question
    cell: Question
    after: Question


# --- questions --------------------------------------------------------------------------------------------------------


def around(source: str, used: Mapping[str, str], known: Sequence[str], rng: Random) -> Canaries:
    """Questions for one run of one cell, made of fresh secrets; its tools, and phrases of it that students know."""
    return Canaries(before=_asked(known, used, rng), cell=_marked(source, rng), after=_asked(known, used, rng))


def _asked(known: Sequence[str], used: Mapping[str, str], rng: Random) -> Question:
    """Computations and tools, their answers added to one text: the message of an assert that must fail."""
    asked: list[tuple[str, Ask]] = []
    for spelled, meant in used.items():
        asked += [(spelled, each) for each in asks(spelled, meant, rng)]
    for _ in range(2):
        text, value = arithmetic.secret(rng)
        asked.insert(rng.randrange(len(asked) + 1), (_COMPUTED, (text, str(value))))
    answers = tuple((spelled, answer) for spelled, (_, answer) in asked)
    if not used:  # the shorter, the less an interpreter has to show of it
        message = f"'%d %d' % ({', '.join(text for _, (text, _) in asked)})"
        return Question(source=_failing(known, message, rng), answers=answers)
    word, each = arithmetic.name(rng), arithmetic.name(rng)
    lines = [
        f"if {arithmetic.true(rng)}:",
        f"    {word} = ''",
        f"    for {each} in (",
        *(f"        lambda: {text}," for _, (text, _) in asked),
        "    ):",
        f"        try: {word} += '%d ' % {each}()",
        f"        except: {word} += '{RAISED} '",  # bare, since any name may mean something else here
        _failing(known, f"({_taken(word)}, {_taken(each)})[0]", rng),
    ]
    return Question(source="\n".join(lines), answers=answers)


def _taken(word: str) -> str:
    """The value of this variable, which is gone after it; without a name that a notebook may have used."""
    return f"(lambda: 0).__globals__.pop('{word}', '')"


def _failing(known: Sequence[str], message: str, rng: Random) -> str:
    """An assert that must fail, in one of several forms; it says what the test says and never does it.

    It stands on one line: whoever drops the lines of a known test drops all of it.
    """
    wrong = arithmetic.false(rng)
    if known:
        wrong = f"{rng.choice(known)} if {arithmetic.false(rng)} else {wrong}"
    form = rng.choice(
        [
            "assert {wrong}, {message}",
            "if {true}:\n    assert {wrong}, {message}",
            "try:\n    assert {wrong}, {message}\nfinally:\n    pass",
            "while {true}:\n    assert {wrong}, {message}\n    break",
        ]
    )
    return form.replace("{wrong}", wrong).replace("{message}", message).replace("{true}", arithmetic.true(rng))


def _marked(source: str, rng: Random) -> Question:
    """The cell, asked for a word once it is done; where nothing can be lost by it, a last line makes that word."""
    text, value = arithmetic.secret(rng)
    answers = ((_COMPUTED, str(value)),)
    if not _may_end_in_more(source):
        return Question(source=source, expression=text, answers=answers)
    word = arithmetic.name(rng)
    last = f"if {arithmetic.true(rng)}: {word} = '%d' % {text}"
    return Question(source=f"{source}\n{last}", expression=_taken(word), answers=answers, word=word)


def _may_end_in_more(source: str) -> bool:
    """Whether a line after the cell changes nothing that is shown of it, not even the message of a syntax error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the author's code, which is not run here
            body = ast.parse(source).body
            compile(source, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return bool(body) and (not isinstance(body[-1], _SHOWS) or _shows_nothing(body[-1]))


def _shows_nothing(node: ast.stmt) -> bool:
    """Whether this is a call such as `np.testing.assert_allclose(...)`."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    function = node.value.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name == "print" or name.startswith("assert_")


# --- replies ----------------------------------------------------------------------------------------------------------


def doubt(asked: Canaries, before: Reply, cell: Reply, after: Reply | None) -> str:
    """Why the cell's outputs cannot be believed, as a sentence for the instructor; empty if nothing speaks against it.

    Where a limit ended the cell, its outcome says so already, and nothing was asked after it.
    """
    if cell.late or cell.stopped or after is None:
        return ""
    found = [
        *_wrong(asked.before, before, "just before it"),
        *_about_cell(asked.cell, cell),
        *_wrong(asked.after, after, "just after it"),
    ]
    return next(iter(found), "")


def _wrong(question: Question, reply: Reply, when: str) -> Iterator[str]:
    kind, message = reply.raised
    if reply.stopped:
        yield f"The kernel ended while it was asked a question {when}."
    elif reply.late:
        yield f"The kernel did not answer a question in time, {when}."
    elif reply.status != "error":
        yield f"An assert that must fail, run {when}, did not stop its cell."
    elif not reply.errors:
        yield f"An assert that must fail, run {when}, failed without being seen to."
    elif kind != _FAILURE or reply.raised not in reply.errors:
        yield f"An assert that must fail, run {when}, failed with another exception than its own."
    else:
        yield from _about_answers(question, message.split(), when)


def _about_answers(question: Question, said: Sequence[str], when: str) -> Iterator[str]:
    if len(said) != len(question.answers):
        yield f"Computations with a known result, run {when}, gave none."
        return
    found: dict[str, list[tuple[str, str]]] = {}
    for (spelled, answer), heard in zip(question.answers, said, strict=True):
        found.setdefault(spelled, []).append((answer, heard))
    for spelled, pairs in found.items():
        usable = not spelled or any(heard != RAISED for _, heard in pairs)  # what only raises makes no test pass
        if usable and any(answer != heard for answer, heard in pairs):
            what = f"'{spelled}', which the tests use," if spelled else "A computation with a known result"
            yield f"{what} gave a wrong answer to a question {when}."


def _about_cell(question: Question, reply: Reply) -> Iterator[str]:
    said = reply.said.strip("'\"").split()
    ended = said == [answer for _, answer in question.answers]
    if ended and reply.errors:
        yield ENDED_AND_RAISED
    elif reply.status == "error" and not reply.errors:
        yield "The cell raised an exception that was not shown."
    elif reply.status != "error" and not ended:
        yield "The cell is said to be done, and its last line was not run."
