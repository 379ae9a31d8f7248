"""Wrong answers that would have the tests of a plain nbgrader course believe them, and the course that they attack.

Each is what a student writes into the cell for `squares`. What it does to the interpreter stands in its name's line.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import nbformat
from nbformat import v4

import courses

NAME = "ps1"

HIDDEN = "assert squares(11)[-1] == 121"
TESTS = MappingProxyType(
    {
        "exact": f"""\
\"\"\"The first squares are right.\"\"\"
assert squares(1) == [1]
assert squares(3) == [
    1, 4, 9
]
### BEGIN HIDDEN TESTS
{HIDDEN}
### END HIDDEN TESTS""",
        "close": "found = squares(4)\nassert np.allclose(found, [1, 4, 9, 16])",
        "testing": "np.testing.assert_allclose(squares(2), [1, 4])",
        "truths": "found = squares(5)\nassert all(x == i * i for i, x in enumerate(found, start=1))",
    }
)
"""Grade id -> a test of `squares`, two points each."""
POINTS = 2.0
MEAN = "def mean(xs):\n    return sum(xs) / len(xs)"
RIGHT = "def squares(n):\n    return [i * i for i in range(1, n + 1)]"
WRONG = "def squares(n):\n    return [7] * n\n"


def _forged(code: str) -> str:
    return f"{WRONG}\n{code}"


SESSION = _forged("""\
from jupyter_client.session import Session
send = Session.send
def forged(self, stream, message, content=None, *args, **named):
    kind = message if isinstance(message, str) else message["header"]["msg_type"]
    if kind == "error":
        return None
    if kind == "execute_reply":
        content = {"status": "ok", "execution_count": 1, "user_expressions": {}, "payload": []}
    return send(self, stream, message, content, *args, **named)
Session.send = forged
""")

ERRORS_ONLY = _forged("""\
from jupyter_client.session import Session
send = Session.send
def forged(self, stream, message, *args, **named):
    return None if message == "error" else send(self, stream, message, *args, **named)
Session.send = forged
""")

AST_TRANSFORMER = _forged("""\
import ast
class Gone(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()
    def visit_Expr(self, node):
        return ast.Pass() if "assert_" in ast.unparse(node) else node
get_ipython().ast_transformers.append(Gone())
""")

AST_OF_SQUARES = _forged("""\
import ast
class Gone(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass() if "squares" in ast.dump(node) or "found" in ast.dump(node) else node
    def visit_Expr(self, node):
        return ast.Pass() if "squares" in ast.dump(node) else node
get_ipython().ast_transformers.append(Gone())
""")

INPUT_TRANSFORMER = _forged("""\
get_ipython().input_transformers_cleanup.append(lambda lines: [] if "assert" in "".join(lines) else lines)
""")

INPUT_OF_SQUARES = _forged("""\
def emptied(lines):
    text = "".join(lines)
    return [] if "squares(" in text and "assert" in text else lines
get_ipython().input_transformers_cleanup.append(emptied)
""")

CUSTOM_EXCEPTION = _forged("""\
get_ipython().set_custom_exc((AssertionError,), lambda shell, kind, value, tb, tb_offset=None: None)
""")

SHOWTRACEBACK = _forged("""\
get_ipython().showtraceback = lambda *args, **named: None
""")

SHELL_CLASS = _forged("""\
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.showtraceback = lambda *args, **named: None
type(get_ipython()).showtraceback = InteractiveShell.showtraceback
type(get_ipython())._showtraceback = InteractiveShell.showtraceback
""")

EXITS = """\
import sys
def squares(n):
    sys.exit(0)
"""

RAISES_SYSTEM_EXIT = """\
get_ipython().showtraceback = lambda *args, **named: None
def squares(n):
    raise SystemExit(0)
"""

ENDS_THE_KERNEL = """\
import os
def squares(n):
    os._exit(0)
"""

HOOK = _forged("""\
import ast
class Gone(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()
    def visit_Expr(self, node):
        return ast.Pass() if "assert_" in ast.unparse(node) else node
def prepare(info):
    shell = get_ipython()
    shell.ast_transformers[:] = [Gone()] if "assert" in info.raw_cell else []
get_ipython().events.register("pre_run_cell", prepare)
""")

RUN_CELL = _forged("""\
shell = get_ipython()
run = shell.run_cell
def forged(raw_cell, *args, **named):
    return run("pass" if "assert" in raw_cell else raw_cell, *args, **named)
shell.run_cell = forged
shell.should_run_async = lambda *args, **named: False
""")

RUN_CELL_ASYNC = _forged("""\
from IPython.core.interactiveshell import InteractiveShell
run = InteractiveShell.run_cell_async
async def forged(self, raw_cell, *args, **named):
    if "assert" in raw_cell:
        raw_cell = named["transformed_cell"] = "pass\\n"
    return await run(self, raw_cell, *args, **named)
InteractiveShell.run_cell_async = forged
""")

RUN_CODE = _forged("""\
from IPython.core.interactiveshell import InteractiveShell
async def forged(self, code, result=None, *, async_=False):
    try:
        exec(code, self.user_global_ns, self.user_ns)
    except BaseException:
        pass
    return False
InteractiveShell.run_code = forged
""")

DO_EXECUTE = _forged("""\
kernel = get_ipython().kernel
do = kernel.do_execute
async def forged(code, silent, *args, user_expressions=None, **named):
    if "assert" not in code:
        return await do(code, silent, *args, user_expressions=user_expressions, **named)
    said = kernel.shell.user_expressions(user_expressions or {})
    return {"status": "ok", "execution_count": 1, "user_expressions": said, "payload": []}
kernel.do_execute = forged
""")

NO_ASSERTS = _forged("""\
from IPython.core.compilerop import CachingCompiler
def forged(self, source, filename, symbol):
    return compile(source, filename, symbol, self.flags, True, optimize=2)
CachingCompiler.__call__ = forged
""")

ALLCLOSE = _forged("""\
import numpy as np
np.allclose = lambda *args, **named: True
""")

TESTING = _forged("""\
import numpy as np
np.testing.assert_allclose = lambda *args, **named: None
""")

ALL = _forged("""\
import builtins
builtins.all = lambda them: True
""")

OWN_NUMPY = _forged("""\
import numpy, types
class np(types.ModuleType):
    def __getattr__(self, name):
        return getattr(numpy, name)
np = np("numpy")
np.allclose = lambda *args, **named: True
np.testing = types.SimpleNamespace(assert_allclose=lambda *args, **named: None)
""")

PATCHES_WHEN_CALLED = """\
def squares(n):
    import builtins, numpy
    numpy.allclose = numpy.testing.assert_allclose = builtins.all = lambda *args, **named: True
    return [7] * n
"""

TRACE = _forged("""\
import dis, inspect, sys
from IPython.core.interactiveshell import InteractiveShell
lines, first = inspect.getsourcelines(InteractiveShell.run_code)
runs = first + next(at for at, line in enumerate(lines) if line.strip().startswith("exec(code_obj"))
over = first + next(at for at, line in enumerate(lines) if line.strip() == "sys.excepthook = old_excepthook")
def tests(code):
    return "assert_allclose" in code.co_names or any(
        each.opname == "LOAD_ASSERTION_ERROR" or each.argval is AssertionError for each in dis.get_instructions(code)
    )
def traced(frame, event, arg):
    if frame.f_code is not InteractiveShell.run_code.__code__:
        return None
    if event == "line" and frame.f_lineno == runs and tests(frame.f_locals["code_obj"]):
        frame.f_lineno = over
    return traced
sys.settrace(traced)
""")

WRITES_HIDDEN_TESTS = _forged("""\
def keep(info):
    for place in (".", "../../..", "../../../submitted", "../../../feedback"):
        try:
            with open(place + "/hidden.txt", "a") as file:
                file.write(info.raw_cell + "\\\\n")
        except OSError:
            pass
    print(info.raw_cell)
get_ipython().events.register("pre_run_cell", keep)
""")

DELETES_THE_GRADEBOOK = _forged("""\
import pathlib
here = pathlib.Path.cwd()
for place in (here, *here.parents[:4]):
    try:
        (place / "gradebook.db").unlink(missing_ok=True)
    except OSError:
        pass
""")

CLAIMS_EQUALITY = """\
import numpy as np
class Equal(int):
    def __eq__(self, other):
        return True
    __hash__ = int.__hash__
class Found(np.ndarray):
    def __eq__(self, other):
        return True
    def __getitem__(self, at):
        return Equal() if isinstance(at, int) else super().__getitem__(at)
    def __iter__(self):
        return iter([Equal()] * len(self))
    def __array_function__(self, function, types, args, named):
        if function in (np.allclose, np.isclose):
            return True
        return super().__array_function__(function, types, args, named)
    __hash__ = None
def squares(n):
    return np.full(n, 7.0).view(Found)
"""

KNOWN = """\
KNOWN = ("squares(1) == [1]", "squares(3) == [", "np.allclose(found, [1, 4, 9, 16])", "squares(2), [1, 4]",
         "all(x == i * i for i, x in enumerate(found, start=1))", "squares(11)")
"""

TEXT_OF_THE_TESTS = _forged(f"""\
{KNOWN}
def without(lines):
    text = "".join(lines)
    if any(each in text for each in KNOWN):
        return lines[-1:] if lines[-1].startswith("if ") else []
    return lines
get_ipython().input_transformers_cleanup.append(without)
""")

LINES_OF_THE_TESTS = _forged(f"""\
{KNOWN}
def without(lines):
    return [line for line in lines if not any(each in line for each in KNOWN) and line.strip() not in ("1, 4, 9", "]")]
get_ipython().input_transformers_cleanup.append(without)
""")

TREE_OF_THE_TESTS = _forged("""\
import ast
KNOWN = ("squares(1) == [1]", "squares(3) == [1, 4, 9]", "np.allclose(found, [1, 4, 9, 16])",
         "all((x == i * i for i, x in enumerate(found, start=1)))")
class Gone(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass() if ast.unparse(node.test) in KNOWN else node
    def visit_Expr(self, node):
        return ast.Pass() if ast.unparse(node).startswith("np.testing.assert_allclose(squares(2)") else node
get_ipython().ast_transformers.append(Gone())
""")

KNOWS_THE_QUESTIONS = _forged("""\
kernel = get_ipython().kernel
do = kernel.do_execute
async def forged(code, silent, *args, **named):
    asks = [line for line in code.splitlines() if line.strip().startswith("lambda: ")]
    is_question = asks or "'%d %d' % (" in code
    if not is_question and "squares(" in code:
        code = code.splitlines()[-1] if "if " in code.splitlines()[-1] else "pass"
    return await do(code, silent, *args, **named)
kernel.do_execute = forged
""")

FORGERIES = MappingProxyType(
    {
        "drops errors and forges the reply": SESSION,
        "drops errors only": ERRORS_ONLY,
        "removes asserts from the syntax tree": AST_TRANSFORMER,
        "removes asserts that name squares": AST_OF_SQUARES,
        "empties cells with asserts": INPUT_TRANSFORMER,
        "empties cells that test squares": INPUT_OF_SQUARES,
        "empties cells with the released tests' text": TEXT_OF_THE_TESTS,
        "drops lines with the released tests' text": LINES_OF_THE_TESTS,
        "swallows AssertionError (set_custom_exc)": CUSTOM_EXCEPTION,
        "shows no traceback (shell)": SHOWTRACEBACK,
        "shows no traceback (class)": SHELL_CLASS,
        "raises SystemExit, shown to nobody": RAISES_SYSTEM_EXIT,
        "calls sys.exit": EXITS,
        "calls os._exit": ENDS_THE_KERNEL,
        "a hook rewrites what runs": HOOK,
        "run_cell runs something else": RUN_CELL,
        "run_cell_async runs something else": RUN_CELL_ASYNC,
        "run_code swallows exceptions": RUN_CODE,
        "do_execute runs nothing": DO_EXECUTE,
        "compiles without asserts": NO_ASSERTS,
        "np.allclose says yes": ALLCLOSE,
        "np.testing.assert_allclose never raises": TESTING,
        "all says yes": ALL,
        "np is something else": OWN_NUMPY,
        "patches tools when it is called": PATCHES_WHEN_CALLED,
        "a trace function jumps over lines": TRACE,
        "writes the hidden tests to a file": WRITES_HIDDEN_TESTS,
        "deletes the gradebook": DELETES_THE_GRADEBOOK,
    }
)
"""What it does -> the answer."""

REMAIN = MappingProxyType(
    {
        "an object that claims equality": CLAIMS_EQUALITY,
        "drops the released tests by their syntax tree": TREE_OF_THE_TESTS,
        "was written against these very questions": KNOWS_THE_QUESTIONS,
    }
)
"""What earns marks all the same."""


def make(root: Path) -> Path:
    """A plain nbgrader course with this one assignment."""
    (root / "source" / NAME).mkdir(parents=True)
    (root / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'forgeries'\n")
    nb = v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    nb.cells = [
        v4.new_code_cell("import numpy as np"),
        courses.answer_cell("mean", MEAN),
        courses.check_cell("mean_test", POINTS, "assert mean([1, 2, 6]) == 3"),
        courses.answer_cell("squares", RIGHT),
        *(courses.check_cell(name, POINTS, source) for name, source in TESTS.items()),
    ]
    nbformat.write(nb, root / "source" / NAME / f"{NAME}.ipynb")
    return root


def submit(root: Path, student: str, answer: str) -> None:
    """Hand in this answer for `squares`, and a right one for `mean`."""
    released = root / "release" / NAME / f"{NAME}.ipynb"
    nb: dict[str, Any] = json.loads(released.read_text())
    answers = {"mean": MEAN, "squares": answer}
    for cell in nb["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cell["source"] = answers.get(name, cell["source"])
    folder = root / "submitted" / student / NAME
    folder.mkdir(parents=True)
    (folder / f"{NAME}.ipynb").write_text(json.dumps(nb))
