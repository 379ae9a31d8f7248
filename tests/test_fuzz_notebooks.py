"""Notebooks that nobody's editor wrote: a notebook of the right form, or one sentence to the student."""

import json

import nbformat
from hypothesis import strategies as st
from nbconvert.filters import markdown2html

from coursekit import cellgrades, notebook
from coursekit.attacking.pages import hazards
from coursekit.errors import UnreadableWork
from coursekit.gradebook import harmless
from coursekit.records import GradedCell
from coursekit.sandbox import messages
from coursekit.sandbox.messages import Malformed, Message
from fuzzing import fuzzed
from made_up import EXTRA, JUNK, TEXTS, Pairs, as_bytes, assert_one_sentence, damaged, near, record

MARK = "ZZ-told-by-the-work"

# --- A release --------------------------------------------------------------------------------------------------------


def claims(name, **flags):
    return {
        "nbgrader": {"grade_id": name, "schema_version": 3, "grade": False, "solution": False, "locked": False, **flags}
    }


def cell(name, kind, source, cell_id, **flags):
    return {"cell_type": kind, "id": cell_id, "source": source, "metadata": claims(name, **flags) if name else {}}


HIDDEN = "assert double(2) == 4\n### BEGIN HIDDEN TESTS\nassert double(21) == 42, 'Twice.'\n### END HIDDEN TESTS"
CELLS = [
    cell("", "markdown", "# Doubling", "intro"),
    cell("", "code", "import math", "imports"),
    cell("answer", "code", "def double(x):\n    raise NotImplementedError()", "a", solution=True),
    cell("tests", "code", "assert double(2) == 4", "b", grade=True, locked=True, points=2),
    cell("why", "markdown", "YOUR ANSWER HERE", "c", grade=True, solution=True, points=3),
    cell("note", "markdown", "Do not change this.", "d", locked=True),
]
RELEASE = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
}
RELEASE["cells"] = CELLS
RELEASED = notebook.parse(json.dumps(RELEASE).encode(), "doubling.ipynb")
RECORDS = [
    GradedCell(
        id=each["metadata"]["nbgrader"]["grade_id"],
        cell_type=each["cell_type"],
        source=HIDDEN if each["id"] == "b" else each["source"],
        released_source=each["source"],
        cell_id=each["id"],
        **{flag: each["metadata"]["nbgrader"].get(flag, False) for flag in ("grade", "solution", "locked")},
        points=each["metadata"]["nbgrader"].get("points"),
    )
    for each in CELLS
    if each["metadata"]
]
LOCKED = {record.id: record.source for record in RECORDS if record.locked}

# --- What is handed in ------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["answer", "tests", "why", "note", "double", "", "answer "])
CLAIMS = record(
    grade_id=near(NAMES),
    grade=near(st.booleans()),
    solution=near(st.booleans()),
    locked=near(st.booleans()),
    task=near(st.booleans()),
    points=near(st.sampled_from([2, 3, 1e9, -1])),
    schema_version=near(st.sampled_from([1, 2, 3, 99])),
    checksum=TEXTS,
    cell_type=TEXTS,
)
METADATA = record(nbgrader=near(CLAIMS), tags=near(st.lists(TEXTS, max_size=3)), collapsed=JUNK, also=EXTRA)
SOURCES = st.one_of(
    TEXTS,
    st.sampled_from([each["source"] for each in CELLS]),
    st.lists(TEXTS, max_size=3),
    st.sampled_from(["def double(x):\n    return 2 * x", "%%bash\nrm -rf /", "### BEGIN SOLUTION", "\x00"]),
)
OUTPUTS = record(output_type=near(TEXTS), data=JUNK, text=JUNK, name=JUNK, metadata=JUNK, ename=JUNK, traceback=JUNK)
MADE_UP = record(
    cell_type=near(st.sampled_from(["code", "markdown", "raw", "heading", "html"])),
    id=near(st.sampled_from(["a", "b", "c", "d", "x y", "coursekit-1"])),
    source=near(SOURCES),
    input=SOURCES,
    metadata=near(METADATA),
    outputs=near(st.lists(OUTPUTS, max_size=2)),
    execution_count=JUNK,
    attachments=near(record(**{"p.png": record(**{"image/png": near(TEXTS)})})),
    level=near(st.integers(-3, 9)),
    also=EXTRA,
)
ROWS = st.lists(st.one_of(MADE_UP, st.sampled_from(CELLS)), max_size=8)
NOTEBOOKS = record(
    nbformat=near(st.sampled_from([4, 4, 4, 4, 3, 2, 5, 1, 0, -4, 4.0, "4", True])),
    nbformat_minor=JUNK,
    metadata=near(record(kernelspec=near(record(name=JUNK, display_name=TEXTS)), language_info=JUNK, authors=JUNK)),
    cells=near(ROWS),
    worksheets=near(st.lists(record(cells=near(ROWS), metadata=JUNK), max_size=2), odds=2),
    also=EXTRA,
)
WHOLES = [json.dumps(RELEASE, indent=1).encode(), json.dumps(RELEASE | {"nbformat_minor": 2}).encode()]
HANDED_IN = st.one_of(NOTEBOOKS.map(as_bytes), damaged(WHOLES), JUNK.map(as_bytes))


@fuzzed("notebooks", HANDED_IN, examples=200, weight=3)
def test_whatever_is_handed_in_becomes_a_notebook_with_the_release_s_cells_or_a_sentence(data):
    try:
        submitted = notebook.parse(data, "doubling.ipynb")
        valid(submitted)
        restored, notes = notebook.restore(submitted, RELEASED, RECORDS)
    except UnreadableWork as error:
        assert_one_sentence(error)
        return
    valid(restored)
    graded = [notebook.grade_id(each) for each in restored["cells"] if notebook.grade_id(each)]
    assert graded == [each.id for each in RECORDS]
    sources = {notebook.grade_id(each): each["source"] for each in restored["cells"]}
    assert {name: sources[name] for name in LOCKED} == LOCKED
    claimed = {notebook.grade_id(each): each["metadata"] for each in restored["cells"]}
    assert claimed["why"]["nbgrader"]["points"] == 3
    assert len(restored["cells"]) <= len(submitted["cells"]) + len(CELLS)
    assert len(json.dumps(restored)) < 6 * len(data) + 20_000
    assert all(len(note) < 1_000 for note in notes)
    assert len(notes) < 12


def valid(nb):
    nbformat.validate(nbformat.from_dict(nb))
    ids = [each["id"] for each in nb["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(isinstance(each["source"], str) for each in nb["cells"])


# --- What running it gives --------------------------------------------------------------------------------------------

MARKED = st.one_of(TEXTS, TEXTS.map(lambda text: text + MARK), st.just("AssertionError"), st.just(f"Twice. {MARK}"))
CONTENTS = st.one_of(
    st.tuples(st.just("error"), record(ename=near(MARKED), evalue=near(MARKED), traceback=near(st.lists(MARKED)))),
    st.tuples(st.just("stream"), record(name=near(st.sampled_from(["stdout", "stderr"])), text=near(MARKED))),
    st.tuples(
        st.sampled_from(["execute_result", "display_data", "update_display_data"]),
        record(
            data=near(
                record(
                    **{
                        "text/plain": near(
                            st.one_of(MARKED, st.sampled_from(["1", "2", "2.0", "np.float64(1)", "nan"]))
                        ),
                        "image/png": near(st.sampled_from(["iVBORw0KGgo=", "@", "AAAA" * 100])),
                        "application/json": JUNK,
                        "text/html": MARKED,
                    },
                    also=EXTRA,
                )
            ),
            metadata=JUNK,
        ),
    ),
    st.tuples(TEXTS, JUNK),
)
PUBLISHED = st.lists(CONTENTS.map(lambda said: [said[0], as_bytes(said[1]).decode("latin-1")]), max_size=6)
"""Type and content of each message that a cell publishes."""


def as_file(published):
    return json.dumps(published, indent=1).encode()


@fuzzed("outputs", PUBLISHED, examples=200, weight=2, write=as_file, read=json.loads)
def test_whatever_a_cell_publishes_earns_points_of_its_own_or_waits_for_a_person(published):
    outputs = []
    for kind, content in published:
        try:
            new = messages.output(Message(kind=kind, parent="", content=content.encode("latin-1")))
        except Malformed:
            continue
        if new is not None:
            messages.append(outputs, new)
    outputs = messages.joined(outputs)
    json.loads(json.dumps(outputs))
    ran = [
        {"cell_type": "code", "metadata": claims(name), "source": "x", "outputs": outputs, "execution_count": 1}
        for name in ("answer", "tests")
    ]
    (check,) = cellgrades.grade_cells(RECORDS[:2], {"cells": ran})
    assert (check.outcome == "broken") == (check.earned == "unscored")
    assert check.earned == "unscored" or 0 <= check.earned <= check.points == 2
    assert MARK not in check.hint
    assert len(check.hint) < 400
    shown = nbformat.v4.new_notebook(cells=[harmless.cell(each, "x", {}) for each in ran])
    nbformat.validate(shown)


def test_an_output_is_drawn_from_pairs():
    assert as_bytes(Pairs([("a", 1), ("a", [None])])) == b'{"a": 1, "a": [null]}'


# --- What a page shows of a text --------------------------------------------------------------------------------------

MARKUP = (
    "<script> </script> <div > </div> <pre> </pre> <style> <!-- --> <? ?> <![CDATA[ ]]> <svg/onload=go()> &lt; &#x3c;"
)
MARKDOWN = "[x](javascript:go()) [x] ` ``` $$ $ \\[ \\] \\ **"
SPACED = (
    "\n",
    "\n\n",
    "\r\n\r\n",
    "\t",
    "    ",
    "\x0b",
    "\u2028",
    "~~~\n",
    "- ",
    "1. ",
    "> ",
    "# ",
    "<img src=x onerror=go()>",
)
LONG = ("[x]: java&#115;cript:go()", "| a | b |\n|---|---|\n", "<iframe srcdoc='<script>go()</script>'>")
PIECES = st.one_of(TEXTS, st.sampled_from([*MARKUP.split(), *MARKDOWN.split(), *SPACED, *LONG]))
WRITTEN = st.lists(PIECES, max_size=12).map("".join)


@fuzzed("texts", WRITTEN, examples=300, write=str.encode, read=bytes.decode)
def test_whatever_a_student_writes_stays_words_where_markdown_is_rendered_and_nothing_cleaned(written):
    shown = harmless.text(written)
    rendered = markdown2html(shown)
    assert rendered.strip() == shown.strip()
    assert not hazards(rendered)
