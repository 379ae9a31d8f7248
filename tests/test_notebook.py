"""The notebook room: hostile bytes are refused in one sentence, and the instructor's cells come back."""

import copy
import importlib.util
import json
import random
import time
import zlib
from pathlib import Path

import fastjsonschema
import msgspec
import pytest

from coursekit import notebook
from coursekit.errors import GraderError, SpecError, UnreadableWork
from coursekit.notebook.cells import checksum, grade_id
from coursekit.records import GradedCell

STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


@pytest.fixture(scope="module")
def validate():
    """nbformat's own schema, without the second that importing nbformat takes."""
    folder = Path(importlib.util.find_spec("nbformat").submodule_search_locations[0])
    check = fastjsonschema.compile(json.loads((folder / "v4" / "nbformat.v4.5.schema.json").read_text()))

    def valid(nb):
        check(nb)
        ids = [cell["id"] for cell in nb["cells"]]
        assert len(ids) == len(set(ids))
        return True

    return valid


def cell(source, kind="code", name="", cell_id="", **flags):
    made = {
        "id": cell_id or f"id-{name or zlib.crc32(source.encode())}",
        "cell_type": kind,
        "metadata": {},
        "source": source,
    }
    if kind == "code":
        made |= {"execution_count": None, "outputs": []}
    if name:
        claimed = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3} | flags
        made["metadata"]["nbgrader"] = claimed | {"grade_id": name}
    return made


def book(*cells):
    return {"cells": list(cells), "metadata": copy.deepcopy(KERNEL), "nbformat": 4, "nbformat_minor": 5}


def exam(name, source):
    return cell(source, name=name, grade=True, locked=True, points=3.0)


RELEASED = book(
    cell("# Quantize\nRead chapter 10.", "markdown", cell_id="intro"),
    cell("import numpy as np\nlevels = 256", name="setup", locked=True),
    cell(f'def quantize(x):\n    """Give int8 values."""\n    {STUB}', name="quantize", solution=True),
    exam("roundtrip", "assert quantize(np.zeros(3)) is not None"),
    cell("Here you may try things out.", "markdown", cell_id="try"),
    cell(STUB, name="speed", solution=True),
    exam("speed-test", "assert speed() < 3"),
    cell("YOUR ANSWER HERE", "markdown", name="why", grade=True, solution=True, points=5.0),
    cell("The end.", "markdown", cell_id="end"),
)
HIDDEN = {"roundtrip": "assert quantize(np.zeros(3)) is not None\nassert quantize(np.ones(1))[0] == 127"}


def graded(released, hidden=None):
    records = []
    for one in released["cells"]:
        claimed = one["metadata"].get("nbgrader")
        if claimed:
            flags = {flag: claimed[flag] for flag in ("grade", "solution", "locked", "task")}
            source = (hidden or {}).get(claimed["grade_id"], one["source"])
            records.append(
                GradedCell(
                    id=claimed["grade_id"],
                    cell_type=one["cell_type"],
                    source=source,
                    released_source=one["source"],
                    points=claimed.get("points"),
                    cell_id=one["id"],
                    **flags,
                )
            )
    return tuple(records)


CELLS = graded(RELEASED, HIDDEN)
ANSWERS = {
    "quantize": 'def quantize(x):\n    """Give int8 values."""\n    return np.clip(np.round(x * 127), -128, 127)',
    "speed": "def speed():\n    return 2",
    "why": "Because rounding is unbiased.",
}


def answered():
    return notebook.replace_sources(RELEASED, ANSWERS)


def restore(submitted):
    before = copy.deepcopy((submitted, RELEASED))
    nb, notes = notebook.restore(submitted, RELEASED, CELLS)
    assert (submitted, RELEASED) == before
    return nb, notes


def names(nb):
    return [grade_id(one) or one["source"] for one in nb["cells"]]


def index(nb, name):
    return [grade_id(one) for one in nb["cells"]].index(name)


def strip_metadata(nb, *, ids=True):
    for number, one in enumerate(nb["cells"]):
        one["metadata"] = {}
        if ids:
            one["id"] = f"new-{number}"
    return nb


# --- Reading ---------------------------------------------------------------------------------------------------------


def raw(**changes):
    return json.dumps(RELEASED | changes).encode()


def test_a_notebook_that_jupyter_wrote_is_read_as_it_is():
    assert notebook.parse(raw(), "quantize.ipynb") == RELEASED


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "quantize.ipynb is not a notebook: it is empty."),
        (b" \n", "quantize.ipynb is not a notebook: it is empty."),
        (b"PK\x03\x04", "quantize.ipynb is not a notebook: it is not JSON."),
        (b"\xff\xfe{", "quantize.ipynb is not a notebook: it is not JSON."),
        (raw()[:300], "quantize.ipynb is not a notebook: it ends too early, as a copy does that was interrupted."),
        (b"[" * 200_000, "quantize.ipynb is not a notebook: it is JSON of another kind."),
        (b'{"x":' + b"[" * 90_000 + b"]" * 90_000 + b"}", "quantize.ipynb is not a notebook: it is nested too deeply."),
        (b"[1, 2]", "quantize.ipynb is not a notebook: it is JSON of another kind."),
        (b'{"cells": 3}', "quantize.ipynb is not a notebook: it is JSON of another kind."),
        (b'{"a": 1}', "quantize.ipynb is not a notebook: it does not say which format it has."),
        (raw(nbformat=5), "quantize.ipynb is not a notebook: it has the format 5, which does not exist yet."),
        (raw(nbformat=1), "quantize.ipynb is not a notebook: it has the format 1, which is too old."),
        (raw(cells=[]), "quantize.ipynb has no cells, so there is nothing to grade."),
        (raw(cells=[{}]), "quantize.ipynb is not a notebook: its cell 1 is not one that Jupyter can open."),
        (
            raw(cells=[{"cell_type": "code", "source": 3}]),
            "quantize.ipynb is not a notebook that Jupyter can open: the source of its cell 1 is not text.",
        ),
        (
            raw(cells=[{"cell_type": "spell", "source": ""}]),
            "quantize.ipynb is not a notebook that Jupyter can open: its cell 1 is of no known type.",
        ),
        (raw(cells=[cell("x")] * 5_001), "quantize.ipynb is not a notebook: it has more than 5,000 cells."),
    ],
    ids=range(17),
)
def test_what_is_not_a_notebook_is_refused_in_one_sentence(data, sentence):
    with pytest.raises(UnreadableWork) as refusal:
        notebook.parse(data, "quantize.ipynb")
    assert str(refusal.value) == sentence
    assert refusal.value.fix


def test_what_is_too_large_is_refused_before_it_is_built():
    with pytest.raises(UnreadableWork, match=r"^n.ipynb is too large: it has 100,000,001 bytes, and at most"):
        notebook.parse(b"{" * 100_000_001, "n.ipynb")
    with pytest.raises(UnreadableWork, match=r"^n.ipynb is too large: without its outputs it has 31,000,004 bytes"):
        notebook.parse(raw(cells=[cell("x" * 31_000_000)]), "n.ipynb")


def test_fifty_megabytes_of_output_are_dropped_quickly():
    loud = copy.deepcopy(RELEASED)
    loud["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 50_000_000}]
    data = json.dumps(loud).encode()
    start = time.process_time()
    assert notebook.parse(data, "quantize.ipynb") == RELEASED
    assert time.process_time() - start < 1


def test_a_source_may_be_a_list_of_lines(validate):
    nb = notebook.parse(raw(cells=[{"cell_type": "code", "source": ["a = 1\n", "b = 2"]}]), "n.ipynb")
    assert nb["cells"][0]["source"] == "a = 1\nb = 2"
    assert validate(nb)


def test_cell_ids_that_are_missing_wrong_or_repeated_are_made_anew_and_always_alike(validate):
    cells = [
        cell("a", cell_id="same"),
        cell("b", cell_id="same"),
        cell("c") | {"id": "no spaces"},
        cell("d") | {"id": 7},
    ]
    nb = notebook.parse(raw(cells=cells), "n.ipynb")
    assert validate(nb)
    assert nb["cells"][0]["id"] == "same"
    assert nb == notebook.parse(raw(cells=cells), "n.ipynb")


def test_junk_in_metadata_is_dropped_and_the_rest_kept(validate):
    junk = cell("x") | {
        "metadata": {
            "tags": ["ok", "ok", "a,b", 3],
            "collapsed": "no",
            "deep": [[[]]],
            "name": 5,
            "editable": False,
            "nbgrader": {"grade_id": ["x"], "points": 2, "grade": True},
        }
    }
    nb = notebook.parse(raw(cells=[junk], metadata={"kernelspec": 3, "language_info": {"name": 4}}), "n.ipynb")
    assert nb["cells"][0]["metadata"] == {"editable": False, "tags": ["ok"], "nbgrader": {"points": 2, "grade": True}}
    assert nb["metadata"] == {}
    assert validate(nb)


def test_images_pasted_into_an_answer_are_kept(validate):
    image = {"shot.png": {"image/png": "iVBORw0KGgo="}}
    nb = notebook.parse(raw(cells=[cell("![](attachment:shot.png)", "markdown") | {"attachments": image}]), "n.ipynb")
    assert nb["cells"][0]["attachments"] == image
    assert validate(nb)


@pytest.mark.parametrize("odd", ["NaN", "-Infinity", '"\\ud83d"', '"NaN \\\\ud83d \\ud83d\\ude00"'])
def test_what_only_strict_json_refuses_does_not_cost_a_student_the_work(odd):
    loud = raw().replace(b'"outputs": []', b'"outputs": [' + odd.encode() + b"]", 1)
    assert notebook.parse(b"\xef\xbb\xbf" + loud, "n.ipynb") == RELEASED


def test_half_a_character_in_a_source_becomes_a_mark_and_whole_ones_stay():
    data = raw(cells=[{"cell_type": "code", "source": "MARK"}]).replace(b"MARK", rb"\ud83d\ude00 \ud83d NaN \\ud83d")
    assert notebook.parse(data, "n.ipynb")["cells"][0]["source"] == "\U0001f600 \ufffd NaN \\ud83d"


def test_a_notebook_of_format_3_is_brought_up_to_date(validate):
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": "old"},
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "metadata": {}, "source": "Hi"},
                    {
                        "cell_type": "code",
                        "language": "python",
                        "metadata": {"nbgrader": {"grade_id": "a"}},
                        "input": ["x = 1\n", "y"],
                        "outputs": [{"output_type": "pyout"}],
                        "collapsed": False,
                    },
                    {"cell_type": "markdown", "metadata": {}, "source": ["q"]},
                ]
            }
        ],
    }
    nb = notebook.parse(json.dumps(old).encode(), "old.ipynb")
    assert [(one["cell_type"], one["source"]) for one in nb["cells"]] == [
        ("markdown", "## Hi"),
        ("code", "x = 1\ny"),
        ("markdown", "q"),
    ]
    assert grade_id(nb["cells"][1]) == "a"
    assert validate(nb)


def test_no_mutation_of_a_notebook_raises_anything_but_unreadable_work(validate):
    chance = random.Random(2027)
    seeds = [raw(), json.dumps(answered(), ensure_ascii=False, indent=1).encode()]
    tokens = [
        b"null",
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b"\\",
        b"\xff",
        b"\x00",
        b"NaN",
        b"1e999",
        b"-1",
        b'"\\ud800"',
        b",",
    ]
    read = 0
    for _ in range(1_000):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 2)):
            at = chance.randrange(len(data))
            span = chance.choice([0, 1, 5, 40])
            data[at : at + span] = chance.choice([*tokens, bytes([chance.randrange(256)]), data[:span]])
        try:
            nb = notebook.parse(bytes(data), "n.ipynb")
            assert validate(nb)
            read += 1
            restored, _ = notebook.restore(nb, RELEASED, CELLS)
        except UnreadableWork:
            continue
        assert validate(restored)
        assert_frame(restored)
    assert 100 < read < 900


def test_no_junk_in_place_of_a_value_raises_anything_but_unreadable_work(validate):
    chance = random.Random(7)
    junk = [None, 3, -1.5, "", "x", [], ["a", 1], {}, {"grade_id": "setup"}, True, [[[]]], "a\x00b\x1b[31m", 10**30]
    for _ in range(400):
        nb = copy.deepcopy(RELEASED)
        for _ in range(chance.randint(1, 3)):
            replace_one(nb, chance, junk)
        try:
            restored, _ = notebook.restore(notebook.parse(json.dumps(nb).encode(), "n.ipynb"), RELEASED, CELLS)
        except UnreadableWork:
            continue
        assert validate(restored)
        assert_frame(restored)


def replace_one(tree, chance, junk):
    """Walk down at random and put junk where the walk ends."""
    while True:
        key = chance.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
        if not isinstance(tree[key], dict | list) or not tree[key] or chance.random() < 0.2:
            tree[key] = copy.deepcopy(chance.choice(junk))
            return
        tree = tree[key]


def assert_frame(nb):
    """Every graded cell once, in order, with the release's metadata; locked ones with their full source."""
    assert [grade_id(one) for one in nb["cells"] if grade_id(one)] == [record.id for record in CELLS]
    released = {grade_id(one): one for one in RELEASED["cells"]}
    for one in nb["cells"]:
        if name := grade_id(one):
            record = next(record for record in CELLS if record.id == name)
            theirs, ours = dict(one["metadata"]["nbgrader"]), released[name]["metadata"]["nbgrader"]
            theirs.pop("checksum", None)
            assert theirs == ours
            assert one["cell_type"] == record.cell_type
            assert one["source"] == record.source or record.solution
        else:
            assert "nbgrader" not in one["metadata"]


# --- Restoring -------------------------------------------------------------------------------------------------------


def test_an_honest_notebook_comes_back_with_its_answers_and_the_hidden_tests_and_no_notes(validate):
    nb, notes = restore(answered())
    assert notes == ()
    assert_frame(nb)
    assert validate(nb)
    assert {name: notebook.source_of(nb, name) for name in ANSWERS} == ANSWERS
    assert notebook.source_of(nb, "roundtrip") == HIDDEN["roundtrip"]
    assert names(nb) == names(RELEASED)
    assert nb["metadata"] == RELEASED["metadata"]


def test_the_checksum_of_a_cell_with_hidden_tests_is_nbgraders():
    # Computed with nbgrader 0.9.6, nbgrader.utils.compute_checksum.
    sums = {
        "setup": "95e4c201b32b26b559d907292fe587be",
        "roundtrip": "4b918b46f15b98ce92b37aa17b2c9fb2",
        "why": "fd0f5f980a73a86794aa043d24b68ecf",
    }
    nb, _ = restore(RELEASED)
    assert {name: checksum(nb["cells"][index(nb, name)]) for name in sums} == sums
    assert nb["cells"][index(nb, "roundtrip")]["metadata"]["nbgrader"]["checksum"] == sums["roundtrip"]


def test_a_changed_locked_cell_gets_its_source_back():
    theirs = notebook.replace_sources(answered(), {"setup": "levels = 2", "roundtrip": "pass"})
    nb, notes = restore(theirs)
    assert_frame(nb)
    assert notes == ("The cells 'setup', 'roundtrip' are locked and had been changed; the released text was put back.",)


def test_deleted_cells_are_put_back_at_their_place():
    theirs = answered()
    theirs["cells"] = [one for one in theirs["cells"] if grade_id(one) not in {"setup", "roundtrip", "speed-test"}]
    nb, notes = restore(theirs)
    assert names(nb) == names(RELEASED)
    assert_frame(nb)
    assert notes == ("The cells 'setup', 'roundtrip', 'speed-test' were missing and put back as released.",)


def test_a_deleted_answer_comes_back_as_the_released_stub_with_a_note():
    theirs = answered()
    del theirs["cells"][index(theirs, "speed")]
    nb, notes = restore(theirs)
    assert notebook.source_of(nb, "speed") == STUB
    assert names(nb) == names(RELEASED)
    assert notes == ("The cell 'speed' was missing and put back without an answer.",)


def test_a_stub_put_back_stands_before_the_students_own_cells_and_a_test_behind_them():
    theirs = answered()
    del theirs["cells"][index(theirs, "quantize") : index(theirs, "speed")]
    at = index(theirs, "speed")
    theirs["cells"][at:at] = [
        cell("mine = 1", cell_id="mine"),
        cell("mine = 2", cell_id="mine2"),
        RELEASED["cells"][4],
        cell("late = 1", cell_id="late"),
    ]
    nb, _ = restore(theirs)
    own = ["mine = 1", "mine = 2"]
    assert names(nb)[2:8] == ["quantize", *own, "roundtrip", "Here you may try things out.", "late = 1"]


def test_a_new_cell_written_in_place_of_a_deleted_answer_is_the_answer():
    theirs = answered()
    theirs["cells"][index(theirs, "why")] = cell("Because I say so.", "markdown", cell_id="new")
    nb, notes = restore(theirs)
    assert notebook.source_of(nb, "why") == "Because I say so."
    assert notes == ("The cell 'why' had lost the name it is graded by and got it back.",)


def test_reordered_graded_cells_go_back_into_order_and_own_cells_follow_theirs():
    theirs = answered()
    theirs["cells"].insert(index(theirs, "speed") + 1, cell("print(speed())", cell_id="mine"))
    theirs["cells"] = theirs["cells"][5:] + theirs["cells"][:5]
    nb, notes = restore(theirs)
    assert_frame(nb)
    assert names(nb)[names(nb).index("speed") + 1] == "print(speed())"
    assert notes == ("The graded cells were in another order; the order of the release was put back.",)


def test_of_copies_with_one_id_the_last_is_graded_as_in_nbgrader(validate):
    theirs = answered()
    at = index(theirs, "quantize")
    copied = copy.deepcopy(theirs["cells"][at]) | {"source": "def quantize(x):\n    return x", "id": "copy"}
    theirs["cells"].insert(at + 1, copied)
    nb, notes = restore(theirs)
    assert notebook.source_of(nb, "quantize") == "def quantize(x):\n    return x"
    assert nb["cells"][at]["source"] == ANSWERS["quantize"]
    assert "nbgrader" not in nb["cells"][at]["metadata"]
    assert notes == ("The cell 'quantize' is in the notebook more than once; the last copy is graded.",)
    assert validate(nb)


def test_a_cell_that_claims_to_be_a_locked_one_is_overwritten():
    theirs = answered()
    theirs["cells"].append(cell("def quantize(x): return CHEAT", name="roundtrip", solution=True, cell_id="z"))
    nb, _ = restore(theirs)
    assert_frame(nb)
    assert "CHEAT" not in notebook.all_code(nb)


def test_points_flags_and_types_that_were_tampered_with_are_the_releases_again():
    theirs = answered()
    for one in theirs["cells"]:
        if claimed := one["metadata"].get("nbgrader"):
            claimed |= {"points": 1_000, "grade": True, "solution": True, "locked": False, "extra": "x"}
    speed = theirs["cells"][index(theirs, "speed")]
    theirs["cells"][index(theirs, "speed")] = cell(speed["source"], "markdown", name="speed")
    nb, notes = restore(theirs)
    assert_frame(nb)
    assert notes == ("The cell 'speed' had been turned into another type of cell; this was undone.",)


def test_grade_ids_that_the_release_does_not_have_are_removed():
    theirs = answered()
    theirs["cells"].append(cell("bonus = 100", name="bonus", grade=True, points=100.0))
    nb, notes = restore(theirs)
    assert_frame(nb)
    assert nb["cells"][-1]["source"] == "bonus = 100"
    assert notes == (
        "Some cells are marked as graded cells that this assignment does not have; they count as your own.",
    )


@pytest.mark.parametrize("ids", [False, True], ids=["cell ids kept", "cell ids lost too"])
def test_metadata_that_an_editor_lost_is_found_again(ids):
    theirs = strip_metadata(answered(), ids=ids)
    theirs["cells"].insert(3, cell("quantize(np.ones(3))", cell_id="mine"))
    nb, notes = restore(theirs)
    assert_frame(nb)
    assert {name: notebook.source_of(nb, name) for name in ANSWERS} == ANSWERS
    assert names(nb)[3] == "quantize(np.ones(3))"
    assert len(notes) == 1
    assert notes[0].endswith(" had lost the name they are graded by and got it back.")


def test_an_answer_that_shares_nothing_with_its_stub_is_found_by_its_place():
    theirs = strip_metadata(answered())
    nb, _ = restore(theirs)
    assert notebook.source_of(nb, "speed") == ANSWERS["speed"]
    assert notebook.source_of(nb, "why") == ANSWERS["why"]


def test_stubs_that_all_look_alike_are_told_by_their_place_even_in_a_format_without_cell_ids():
    def old(*sources):
        data = raw(cells=[{"cell_type": "code", "metadata": {}, "source": source} for source in sources])
        return notebook.parse(data, "n.ipynb")

    named = [cell("import numpy", name="i", locked=True), *(cell(STUB, name=name, solution=True) for name in "ab")]
    released = old("import numpy", STUB, STUB)
    for one, other in zip(released["cells"], named, strict=True):
        one["metadata"] = other["metadata"]
    nb, _ = notebook.restore(old("import numpy", "answer = 1", STUB), released, graded(released))
    assert [one["source"] for one in nb["cells"]] == ["import numpy", "answer = 1", STUB]


def test_an_answer_with_a_new_signature_is_still_the_answer():
    theirs = strip_metadata(answered())
    rewritten = "def quantize(x: np.ndarray) -> np.ndarray:\n    return np.round(x)"
    theirs["cells"][2]["source"] = rewritten
    nb, _ = restore(theirs)
    assert notebook.source_of(nb, "quantize") == rewritten


def test_a_notebook_for_another_assignment_is_refused():
    other = book(cell("import numpy as np", cell_id="a"), cell("def relu(x): ...", name="relu", solution=True))
    with pytest.raises(UnreadableWork, match="looks like a notebook for another assignment") as refusal:
        restore(other)
    assert "it has 'relu'; this one has 'setup', 'quantize', 'roundtrip' and 3 more" in str(refusal.value)


def test_a_cell_that_two_assignments_share_does_not_make_them_one():
    other = book(RELEASED["cells"][0], cell("def relu(x): ...", name="relu", solution=True))
    with pytest.raises(UnreadableWork, match="another assignment"):
        restore(other)


def test_a_kernel_of_another_language_is_named_and_the_releases_is_used():
    theirs = answered() | {"metadata": {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}}
    nb, notes = restore(theirs)
    assert nb["metadata"] == KERNEL
    assert notes == ("The notebook asks for a kernel of another language; it is run with python.",)


def test_images_in_an_answer_that_a_person_marks_stay_in_it(validate):
    theirs = answered()
    image = {"shot.png": {"image/png": "iVBORw0KGgo="}}
    theirs["cells"][index(theirs, "why")]["attachments"] = image
    nb, _ = restore(theirs)
    assert nb["cells"][index(nb, "why")]["attachments"] == image
    assert validate(nb)


def test_a_graded_cell_that_the_released_notebook_has_lost_comes_from_the_gradebook(validate):
    less = book(*RELEASED["cells"][:-2])
    cells = [msgspec.structs.replace(record, cell_id="") for record in CELLS]
    nb, notes = notebook.restore(answered() | {"cells": answered()["cells"][:-2]}, less, cells)
    assert grade_id(nb["cells"][-1]) == "why"
    assert nb["cells"][-1]["metadata"]["nbgrader"]["points"] == 5.0
    assert notes == ("The cell 'why' was missing and put back without an answer.",)
    assert validate(nb)


def test_a_release_without_graded_cells_takes_any_notebook():
    plain = book(cell("x = 1", cell_id="x"))
    nb, notes = notebook.restore(book(cell("y = 2", cell_id="y")), plain, ())
    assert (names(nb), notes) == (["y = 2"], ())


def test_restoring_twice_changes_nothing_more():
    once, _ = restore(strip_metadata(answered()))
    twice, notes = restore(once)
    assert (twice, notes) == (once, ())


def test_any_shuffle_deletion_and_copy_of_cells_keeps_the_frame_and_loses_no_own_cell(validate):
    chance = random.Random(11)
    for _ in range(200):
        theirs = answered()
        theirs["cells"] += [cell(f"own_{number} = 1", cell_id=f"own{number}") for number in range(3)]
        chance.shuffle(theirs["cells"])
        theirs["cells"] += copy.deepcopy(chance.sample(theirs["cells"], 2))
        for one in chance.sample(theirs["cells"], 4):
            one["metadata"] = {}
            one["id"] = f"lost-{chance.random()}".replace(".", "")
        for _ in range(chance.randint(0, 3)):
            gone = next((one for one in theirs["cells"] if not one["source"].startswith("own")), None)
            theirs["cells"].remove(gone)
        nb, _ = restore(theirs)
        assert_frame(nb)
        assert validate(nb)
        assert {f"own_{number} = 1" for number in range(3)} <= {one["source"] for one in nb["cells"]}


def big(count, size):
    def source(number):
        return "".join(f"value = value * 2 + {number * size + line}\n" for line in range(size // 25))

    return book(*(cell(f"def f{n}(x):\n{source(n)}", name=f"c{n}", solution=True) for n in range(count)))


def test_three_hundred_large_cells_without_metadata_are_matched_within_a_second():
    released = big(300, 10_000)
    cells = graded(released)
    theirs = strip_metadata(copy.deepcopy(released))
    for one in theirs["cells"]:
        one["source"] += "\n# changed"
    start = time.process_time()
    nb, _ = notebook.restore(theirs, released, cells)
    assert time.process_time() - start < 1
    assert [grade_id(one) for one in nb["cells"]] == [record.id for record in cells]


def test_cells_made_to_look_like_every_released_cell_cost_no_more():
    released = big(300, 100)
    everything = "\n".join(one["source"] for one in released["cells"])
    theirs = book(*(cell(everything, cell_id=f"x{number}") for number in range(100)))
    start = time.process_time()
    notebook.restore(theirs, released, graded(released))
    assert time.process_time() - start < 2


# --- Looking into one ------------------------------------------------------------------------------------------------


def test_a_check_that_asks_for_an_unknown_cell_is_told_the_near_one():
    assert notebook.source_of(RELEASED, "speed") == STUB
    with pytest.raises(GraderError) as error:
        notebook.source_of(RELEASED, "quantise")
    assert error.value.fix == "did you mean 'quantize'?"


def test_a_wrong_answer_for_an_unknown_cell_is_refused():
    with pytest.raises(SpecError) as error:
        notebook.replace_sources(RELEASED, {"sped": "x"})
    assert error.value.fix == "did you mean 'speed'?"


def test_code_is_given_without_text_and_outputs():
    nb = book(cell("a = 1"), cell("text", "markdown"), cell("b = 2") | {"outputs": [1], "execution_count": 3})
    assert notebook.all_code(nb) == "a = 1\n\nb = 2"
    assert [one["source"] for one in notebook.code_cells(nb)] == ["a = 1", "b = 2"]
    quiet = notebook.without_outputs(nb)
    assert quiet["cells"][2]["outputs"] == []
    assert quiet["cells"][2]["execution_count"] is None
    assert nb["cells"][2]["outputs"] == [1]
