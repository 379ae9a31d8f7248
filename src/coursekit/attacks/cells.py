"""Attacks on a test cell of the notebook's own, whose asserts run inside the student's process.

Nothing can be proved there. Questions with known answers stand around such a cell; one that does not answer them earns
nothing until a person has looked. Each attack answers wrongly, and would have the asserts believe it.
"""

from __future__ import annotations

from functools import partial

from coursekit.attacks import kinds

CANARIES = "questions with known answers around the cell; a person looks before it earns anything"
NOTHING = {"five": 0, "arrays": 0, "own": 0}

code = partial(kinds.code, group="forge", assignment="cells")
forged = partial(code, CANARIES, earns=NOTHING)


@forged(shows="An assert that must fail|did not answer|was not run|not shown")
def replies_without_errors():
    """Patch the kernel's Session so that no error is sent and every reply says ok."""
    from jupyter_client.session import Session

    send = Session.send

    def sent(self, stream, message, content=None, *rest, **more):
        kind = message if isinstance(message, str) else message["header"]["msg_type"]
        if kind == "error":
            return None
        if kind == "execute_reply":
            content = {"status": "ok", "execution_count": 1, "user_expressions": {}, "payload": []}
        return send(self, stream, message, content, *rest, **more)

    Session.send = sent

    def double(x):
        return 7


@forged(shows="An assert that must fail")
def asserts_taken_out_of_the_tree(get_ipython):
    """Transform every syntax tree so that no assert is left in it."""
    import ast

    class Gone(ast.NodeTransformer):
        def visit_Assert(self, node):
            return ast.Pass()

    get_ipython().ast_transformers.append(Gone())

    def double(x):
        return 7


@forged(shows="An assert that must fail|was not run")
def cells_emptied_before_they_run(get_ipython):
    """Transform the text of every cell with an assert in it into nothing."""
    get_ipython().input_transformers_cleanup.append(lambda lines: [] if "assert" in "".join(lines) else lines)

    def double(x):
        return 7


@forged(shows="without being seen|not shown|did not stop")
def exceptions_that_nobody_sees(get_ipython):
    """Replace what shows an exception, so that a failed assert leaves no trace."""
    get_ipython().set_custom_exc((AssertionError,), lambda *_, **__: None)
    get_ipython().showtraceback = lambda *_, **__: None

    def double(x):
        return 7


@forged(shows="An assert that must fail|was not run|did not stop")
def a_kernel_that_runs_nothing(get_ipython):
    """Replace the function that runs code by one that says that all went well."""
    shell = get_ipython()

    async def run_code(*_, **__):
        return False

    shell.run_code = run_code

    def double(x):
        return 7


@forged(shows="gave a wrong answer")
def tools_that_agree_with_everything():
    """Patch NumPy's comparisons, and make whole numbers equal by the back door of a name."""
    import numpy as np

    np.allclose = lambda *_, **__: True

    def double(x):
        return 8 if isinstance(x, int) and x == 4 else 42 if isinstance(x, int) else 7


@code(CANARIES, earns=NOTHING, shows="SystemExit|exception")
def an_exit_instead_of_an_answer():
    """Leave the cell by sys.exit before its asserts are reached."""
    import sys

    def double(x):
        sys.exit(0)


@code(
    "the box: what reads a hidden test has no way to tell anybody, and its outputs are not on the student's pages",
    earns=NOTHING,
    shows="not on the pages",
)
def hidden_tests_written_to_files(place, get_ipython):
    """Read the hidden tests as they run, print them, write them to files, and delete the class's gradebook."""
    import pathlib

    seen = []

    def double(x):
        return 7

    def keep(info):
        seen.append(info.raw_cell)
        for name in ("/tmp/hidden.txt", "hidden.txt"):
            pathlib.Path(name).write_text("\n".join(seen))
        print(seen[-1], "not on the pages")

    get_ipython().events.register("pre_run_cell", keep)
    for file in (place["course"] + "/gradebook.db", "gradebook.db"):
        try:
            pathlib.Path(file).unlink()
        except OSError as error:
            print("REFUSED", file, error)


@code(
    "nothing: to be sure, write a check that asks from outside",
    earns={"five": 0, "arrays": 0},
    remains="objects that claim equality",
    shows="defined",
)
def an_object_that_every_assert_believes():
    """Return an object that is equal to everything, also for NumPy."""

    class Equal:
        def __eq__(self, other):
            return True

        def __array_function__(self, *_, **__):
            return True

        def __abs__(self):
            return 0

        __sub__ = __rsub__ = lambda self, other: 0
        __hash__ = None

    def double(x):
        return Equal()

    print("defined")
