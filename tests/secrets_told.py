"""A course whose secrets are easy to find again, students who try to bring them out, and how to look for them."""

from __future__ import annotations

import base64
import html
import json
import re
import struct

from nbformat import v4

import courses
import models

SEED = "5eed0ac1b2d3e4f5a6978869"
INPUT = "zqHiddenInputOne"
NUMBERS = [4821.736519, 0.90731846]
EXPECTED = "zqExpectedAnswerTwo"
WANTED = 93417.258164
LABEL = 71539.46281
HIDDEN_TEST = "zqHiddenTestThree"
HIDDEN_RESULT = "zqHiddenResultFour"
COMMENT = "zqCommentOfTheGraderFive"
WORDS = (SEED, INPUT, EXPECTED, HIDDEN_TEST, HIDDEN_RESULT, COMMENT)
FIGURES = (*NUMBERS, WANTED, LABEL)

CHECKS = f'''\
"""Hidden checks. {COMMENT}"""

import numpy as np
import pytest

from coursekit.wire import Array

WANTED = {WANTED}
KINDS = {{"a long word": "{INPUT}", "a short word": "{INPUT[:9]}"}}


@pytest.mark.points(2, id="spell")
def test_spell(kernel):
    """spell(word) gives the word's translation."""
    for kind, word in KINDS.items():
        told = kernel.call("spell", word)
        assert told == "{EXPECTED}", f"For {{kind}} it gave {{told}}, and {{len(str(told))}} letters are not it."


@pytest.mark.points(2, id="scale")
def test_scale(kernel):
    """scale(x) weighs what it is given."""
    y = kernel.call("scale", np.array({NUMBERS}), returns=float)
    assert abs(y - WANTED) < 1e-6, f"It is off by {{abs(y - WANTED):.6f}}: {{y}} came."


@pytest.mark.points(1, id="shape")
def test_shape(kernel):
    """spell gives a list of two."""
    kernel.call("spell", "{INPUT}", returns=(Array("float32", (2,)), str))


@pytest.mark.points(1, id="breaks")
def test_breaks(kernel):
    """scale is not zero."""
    1 / kernel.call("scale", np.array({NUMBERS}))
'''

DATA = f'''\
"""Hidden data. {COMMENT}"""

import numpy as np


def data(rng):
    x = rng.normal(size=(20, 4)).astype("float32")
    x[:, 0], x[:, 1] = {NUMBERS[0]}, {NUMBERS[1]}
    return x, (x[:, 2] > {LABEL}).astype(int)
'''

FACTS = """\
artifact: {path: model.tflite, max_bytes: 20_000}
targets:
  - {id: accuracy, metric: accuracy, data: hidden, at_least: {pass: 0.5, full: 0.9}, points: 2}
"""
OWN = f"""\
assert spell('shown') is not None
### BEGIN HIDDEN TESTS
# {COMMENT}
assert spell('{HIDDEN_TEST}') == '{HIDDEN_RESULT}', 'The other word is not right.'
assert scale([{NUMBERS[0]}]) == {WANTED}
### END HIDDEN TESTS"""

ANSWER = "def double(x):\n    return 2 * x\ndef spell(word):\n    return word\ndef scale(x):\n    return 1.0\n"


def make(root, name, *, own=False):
    """A course with hidden checks and data and, if it has its `own`, hidden tests in the notebook too."""
    told = courses.check_cell("own", 1, OWN)
    points = {"accuracy": 2} if own else {"spell": 2, "scale": 2, "shape": 1, "breaks": 1, "accuracy": 2}
    cells = (*([told] if own else []), courses.answer_cell("export", courses.writes(courses.MODEL)))
    hidden = {"hidden.py": DATA} | ({} if own else {f"test_secrets_{name}.py": CHECKS})
    courses.make(root, name, facts=FACTS, checks=points, cells=cells, hidden=hidden)
    nb = courses.reference(root, name)
    for cell in nb["cells"]:
        if cell["id"] == "answer":
            cell["source"] = f"### BEGIN SOLUTION\n{ANSWER}### END SOLUTION"
            cell["outputs"] = [v4.new_output("stream", text=EXPECTED)]
    (root / "assignments" / name / f"{name}.ipynb").write_text(json.dumps(nb))


# --- Who tells --------------------------------------------------------------------------------------------------------

PRELUDE = """\
import json, os, sys, threading, traceback, warnings
from IPython import get_ipython
from IPython.display import HTML, display, update_display
SEEN = []
held = display("earlier", display_id=True)
def text():
    frame, lines = sys._getframe(1), []
    while frame is not None:
        lines += [repr(each) for each in frame.f_code.co_consts if isinstance(each, (str, float))]
        lines += [repr(value)[:200] for value in frame.f_locals.values() if isinstance(value, (str, float))]
        frame = frame.f_back
    lines += list(globals().get("_ih", []))[-2:]
    return " ".join([*map(repr, SEEN), *lines])
def heard(x):
    SEEN.append([float(each) for each in x] if hasattr(x, "dtype") else x)
def double(x):
    raise ValueError(text()) if SEEN else ValueError("not yet")
def tell():
    raise NotImplementedError
def spell(word):
    heard(word)
    return tell()
def scale(x):
    heard(x)
    return tell()
"""

TELLERS = {
    "returns": "def tell():\n    return SEEN[-1][0] if isinstance(SEEN[-1], list) else SEEN[-1]",
    "raises": """\
def tell():
    said = text()
    error = type("E" + "".join(c for c in said if c.isalnum()), (Exception,), {"__doc__": said})(said)
    error.add_note(said)
    raise error from ValueError(said)""",
    "prints": """\
import logging, comm
def tell():
    said = text()
    print(said)
    print(said, file=sys.stderr)
    os.write(1, said.encode()); os.write(2, said.encode())
    warnings.warn(said)
    logging.error(said)
    display(HTML(said)); held.update(said); held.display(said)
    comm.create_comm(target_name=said[:50], data={"said": said})
    get_ipython().set_next_input(said)
    threading.Thread(target=print, args=(said,)).start()
    return said""",
    "files": """\
def tell():
    said = text()
    for path in ("model.tflite", "score.json", "timestamp.txt", "asked.ipynb", "../out", "/tmp/out"):
        try:
            open(path, "w").write(said)
        except OSError:
            pass
    open("zq" + "".join(c for c in said if c.isalnum())[:100], "w").close()
    return [said, said]""",
    "forges": """\
from jupyter_client.session import Session
send = Session.send
parents = []
def forged(self, stream, message, *args, **kwargs):
    if SEEN and isinstance(message, dict):
        said = text()
        content = message["content"]
        for parent in parents[:3]:
            for kind in ("stream", "display_data", "error", "execute_result"):
                more = {"name": "stdout", "text": said, "data": {"text/plain": said}, "metadata": {}}
                more |= {"execution_count": 1, "ename": said, "evalue": said, "traceback": [said]}
                send(self, stream, self.msg(kind, more, parent=parent), ident=b"stream")
        if "data" in content:
            token = json.loads(content["data"].get("application/vnd.coursekit.answer+json", "{}")).get("token", "")
            raised = "".join(c for c in said if c.isalnum())
            answer = {"token": token, "raised": raised, "message": said, "missing": True}
            content["data"] = {kind: json.dumps(answer) for kind in content["data"]}
    return send(self, stream, message, *args, **kwargs)
Session.send = forged
get_ipython().events.register("pre_execute", lambda: parents.append(get_ipython().get_parent()["header"]))
def tell():
    return 0.0""",
    "shapes": """\
import numpy as np
def tell():
    said = text()
    if isinstance(SEEN[-1], list):
        return int(SEEN[-1][0] * 10**6)
    kinds = [np.zeros([ord(c) % 7 for c in said[:8]]), {said: said, said[::-1]: [said]}, type(said, (), {})()]
    kinds += [said.encode()]
    return kinds[len(SEEN) % 4]""",
    "remakes": """\
def tell():
    said = text()
    for name in ("spell", "scale", "double"):
        globals()[name] = type("".join(c for c in said if c.isalnum()), (), {"__doc__": said})()
    held = bytearray(400_000_000)
    held[::4096] = b"x" * len(held[::4096])
    os._exit(len(said) % 250)""",
}
"""Student -> how their functions tell what they were asked."""

AFTERWARDS = f"""\
said = text()
print(said)
placeholder = "zq" * 30
import base64, pathlib
data = base64.b64decode({base64.b64encode(models.custom("zq" * 30)).decode()!r})
secret = "".join(c for c in repr(SEEN) if c.isalnum())[:60].ljust(60)
pathlib.Path("model.tflite").write_bytes(data.replace(placeholder.encode(), secret.encode()))
raise type("".join(c for c in said if c.isalnum())[:200], (Exception,), {{}})(said)
"""
"""A cell after the hidden tests, and after the cell that exports."""


# --- Looking ----------------------------------------------------------------------------------------------------------


def forms(word):
    """The ways in which a text may be written down, as bytes; each is looked for without case."""
    plain = word.encode()
    yield from (plain, plain[::-1], plain.hex().encode(), word.encode("utf-16-le"))
    for shift in range(3):  # wherever it stands in what was encoded
        encoded = base64.b64encode(bytes(shift) + plain)
        yield encoded[4 if shift else 0 : -4]


def figures(number):
    """The digits of a number however it is scaled and rounded, its decimals alone, and its bytes."""
    whole, decimals = f"{number:.6f}".split(".")
    yield (whole + decimals).lstrip("0")[:8].encode()
    yield f".{decimals[:4]}".encode()
    yield from (f"{number:.{places}f}".encode() for places in (2, 3))
    for kind in ("<d", "<f", ">d"):
        packed = struct.pack(kind, number)
        yield packed.hex().encode()
        yield base64.b64encode(packed)[:-2]


def found(data):
    """What of the secrets stands in these bytes."""
    views = list(_views(data))
    return {secret for form, secret in SOUGHT.items() if any(form in view for view in views)}


SOUGHT = {form.lower(): word for word in WORDS for form in forms(word)}
SOUGHT |= {form.lower(): repr(number) for number in FIGURES for form in figures(number)}


def _views(data):
    """The bytes as they are, with escapes undone, and with letters and digits alone."""
    lower = data.lower()
    yield lower
    text = html.unescape(data.decode("utf-8", "replace"))
    yield text.lower().encode()
    yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text).lower().encode("utf-8", "replace")
    yield re.sub(rb"[^0-9a-z]", b"", lower)
