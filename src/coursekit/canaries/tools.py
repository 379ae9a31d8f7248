"""The tools that a test uses, and what is asked of each: values with a known answer, right ones and wrong ones.

A tool is asked under the name by which the test calls it, so that the answer is the one that the test would get. Names
that the assignment itself defines are no tools: a student may be asked to write `mean`, and theirs may be wrong.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from random import Random

from coursekit.canaries.arithmetic import choice, computation

RAISED = "!"
"""What stands for an answer where an exception was raised."""

Ask = tuple[str, str]
"""An expression that comes to a whole number or raises, and the answer."""

_USUAL = {"np": "numpy", "numpy": "numpy", "npt": "numpy.testing", "math": "math"}
"""What these names stand for, unless the release says otherwise."""
_MOST = 12


def tools(source: str, release: Iterable[str]) -> dict[str, str]:
    """The tools of a test cell: name in the cell -> what it is, as `np.allclose` -> `numpy.allclose`.

    `release` are the sources of the code cells that students were given: their imports hold, and what they define is
    left out.
    """
    tree = parsed(source)
    if tree is None:
        return {}
    trees = [tree, *(each for each in map(parsed, release) if each is not None)]
    known = dict(_USUAL)
    for each in trees:
        known |= _imports(each)
    defined = {name for each in trees for name in _defined(each)}
    lazily = set(_fed_by_generators(tree))
    found: dict[str, str] = {}
    for spelled in _spelled(tree):
        root, dot, rest = spelled.partition(".")
        if root in defined:
            continue
        meant = f"{known[root]}{dot}{rest}" if root in known else f"builtins.{spelled}"
        if spelled in lazily and f"{meant} of a generator" in ASKED:
            meant = f"{meant} of a generator"
        if meant in ASKED:
            found[spelled] = meant
    return dict(sorted(found.items())[:_MOST])


def phrases(released: str) -> tuple[str, ...]:
    """What a test says, as its students know it: the conditions that it asserts and the calls that it makes.

    Code that looks for a known test in order to drop it finds these words in a question too, where nothing runs them.
    """
    tree = parsed(released)
    found = []
    for node in ast.walk(tree or ast.Module([], [])):
        if isinstance(node, ast.Assert):
            found.append(node.test)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            found.append(node.value)
    texts = (ast.get_source_segment(released, node) or "" for node in found if not _is_special(node))
    return tuple(dict.fromkeys(text for text in texts if text and "\n" not in text))[:_MOST]


def _is_special(node: ast.expr) -> bool:
    """Whether it means something else, or nothing, as a part of another expression."""
    special = ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr | ast.IfExp | ast.Lambda
    return any(isinstance(each, special) for each in ast.walk(node))


def parsed(source: str) -> ast.Module | None:
    """The code of a cell; lines that only IPython understands are left out."""
    plain = "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in source.splitlines())
    for text in (source, plain):
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            continue
    return None


def _imports(tree: ast.Module) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.asname or each.name.split(".")[0]: _module(each) for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return found


def _module(alias: ast.alias) -> str:
    return alias.name if alias.asname else alias.name.split(".")[0]


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id


def _spelled(tree: ast.Module) -> Iterator[str]:
    """Every name that is looked up, with the attributes after it."""
    for node in ast.walk(tree):
        parts: list[str] = []
        at: ast.AST = node
        while isinstance(at, ast.Attribute):
            parts.insert(0, at.attr)
            at = at.value
        if isinstance(at, ast.Name) and isinstance(at.ctx, ast.Load):
            yield ".".join((at.id, *parts))


def _fed_by_generators(tree: ast.Module) -> Iterator[str]:
    """The functions that are called as `all(x > 0 for x in found)`, which NumPy's of that name take for true."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.GeneratorExp):
            continue
        if isinstance(node.func, ast.Name):
            yield node.func.id


# --- what is asked ----------------------------------------------------------------------------------------------------


def asks(spelled: str, meant: str, rng: Random) -> list[Ask]:
    """What is asked of one tool, some of it with the answer no."""
    return ASKED[meant](spelled, rng)


_Asking = Callable[[str, Random], list[Ask]]


def _numbers(rng: Random, count: int = 3) -> list[int]:
    return rng.sample(range(2, 500), count)


def _holds(rng: Random, condition: str, truth: bool) -> Ask:
    text, yes, no = choice(rng, condition)
    return text, str(yes if truth else no)


def _gives(text: str, value: int) -> Ask:
    return text, str(value)


def _yes_and_no(yes: str, no: str) -> _Asking:
    """A tool that answers with true or false; `{f}` is its name, `{a}` to `{c}` are different numbers."""

    def made(spelled: str, rng: Random) -> list[Ask]:
        a, b, c = _numbers(rng)
        filled = [text.format(f=spelled, a=a, b=b, c=c) for text in (yes, no)]
        return [_holds(rng, filled[0], truth=True), _holds(rng, filled[1], truth=False)]

    return made


def _value(text: str, value: Callable[[int, int, int], int]) -> _Asking:
    """A tool that answers with a whole number; two questions."""

    def made(spelled: str, rng: Random) -> list[Ask]:
        drawn = [_numbers(rng) for _ in range(2)]
        return [_gives(text.format(f=spelled, a=a, b=b, c=c), value(a, b, c)) for a, b, c in drawn]

    return made


def _raises(well: str, wrong: str) -> _Asking:
    """A tool that raises where something is wrong."""

    def made(spelled: str, rng: Random) -> list[Ask]:
        a, b, c = _numbers(rng)
        filled = [text.format(f=spelled, a=a, b=b, c=c) for text in (well, wrong)]
        then, other = computation(rng), computation(rng)
        return [(f"({filled[0]}, {then[0]})[1]", str(then[1])), (f"({filled[1]}, {other[0]})[1]", RAISED)]

    return made


def _is_class_of(literal: str) -> _Asking:
    other = "''" if literal != "''" else "()"
    return _yes_and_no(f"{{f}} is ({literal}).__class__", f"{{f}} is {other}.__class__")


_CLASSES = {"int": "5", "float": "1.5", "str": "''", "list": "[]", "tuple": "()", "dict": "{{}}", "set": "{{1}}"}

ASKED: dict[str, _Asking] = {
    "builtins.abs": _value("{f}({a} - {b})", lambda a, b, _: abs(a - b)),
    "builtins.all": _yes_and_no("{f}(({a}, {b}))", "{f}(({a}, 0, {b}))"),
    "builtins.all of a generator": _yes_and_no("{f}(_ for _ in ({a}, {b}))", "{f}(_ for _ in ({a}, 0, {b}))"),
    "builtins.any of a generator": _yes_and_no("{f}(_ for _ in (0, {a}))", "{f}(_ for _ in (0, 0))"),
    "builtins.any": _yes_and_no("{f}((0, {a}))", "{f}((0, 0))"),
    "builtins.bool": _yes_and_no("{f}({a})", "{f}(0)"),
    "builtins.callable": _yes_and_no("{f}(lambda: {a})", "{f}({a})"),
    "builtins.enumerate": _value("[*{f}(({a}, {b}))][1][0] + {c}", lambda a, b, c: 1 + c),  # noqa: ARG005 - one shape
    "builtins.hasattr": _yes_and_no("{f}([{a}], 'append')", "{f}({a}, 'append')"),
    "builtins.isinstance": _yes_and_no("{f}({a}, (1).__class__)", "{f}('{a}', (1).__class__)"),
    "builtins.issubclass": _yes_and_no("{f}((1 == {a}).__class__, (1).__class__)", "{f}(''.__class__, (1).__class__)"),
    "builtins.len": _value("{f}(({a}, {b})) * {c}", lambda a, b, c: 2 * c),  # noqa: ARG005 - one shape
    "builtins.map": _value("[*{f}(lambda _: _ + {a}, ({b}, {c}))][0]", lambda a, b, _: a + b),
    "builtins.max": _value("{f}(({a}, {b}, {c}))", max),
    "builtins.min": _value("{f}(({a}, {b}, {c}))", min),
    "builtins.range": _value("[*{f}({a}, {a} + {b})][1]", lambda a, *_: a + 1),
    "builtins.repr": _yes_and_no("{f}({a}) == '{a}'", "{f}({a}) == '{b}'"),
    "builtins.round": _value("{f}({a}.25)", lambda a, *_: a),
    "builtins.sorted": _value("{f}(({a}, {b}, {c}))[1]", lambda *three: sorted(three)[1]),
    "builtins.sum": _value("{f}(({a}, {b}, {c}))", lambda *three: sum(three)),
    "builtins.type": _yes_and_no("{f}({a}) is (1).__class__", "{f}('{a}') is (1).__class__"),
    "builtins.zip": _value("[*{f}((1, 2), ({a}, {b}))][1][1]", lambda _, b, __: b),
    **{f"builtins.{each}": _is_class_of(literal) for each, literal in _CLASSES.items()},
    "math.fabs": _value("{f}({a} - {b})", lambda a, b, _: abs(a - b)),
    "math.isclose": _yes_and_no("{f}({a}, {a})", "{f}({a}, {b})"),
    "math.sqrt": _value("{f}({a} * {a})", lambda a, *_: a),
    "numpy.all": _yes_and_no("{f}([{a}, {b}])", "{f}([{a}, 0])"),
    "numpy.allclose": _yes_and_no("{f}([{a}, {b}], [{a}, {b}])", "{f}([{a}, {b}], [{a}, {c}])"),
    "numpy.any": _yes_and_no("{f}([0, {a}])", "{f}([0, 0])"),
    "numpy.argmax": _value("{f}([0, 0, {a}, 0]) + {b}", lambda _, b, __: 2 + b),
    "numpy.argmin": _value("{f}([900, 900, {a}, 900]) + {b}", lambda _, b, __: 2 + b),
    "numpy.array": _value("{f}([{a}, {b}])[1]", lambda _, b, __: b),
    "numpy.asarray": _value("{f}([{a}, {b}])[1]", lambda _, b, __: b),
    "numpy.array_equal": _yes_and_no("{f}([{a}, {b}], [{a}, {b}])", "{f}([{a}, {b}], [{a}, {c}])"),
    "numpy.isclose": _yes_and_no("{f}({a}, {a})", "{f}({a}, {b})"),
    "numpy.isfinite": _yes_and_no("{f}({a}.5)", "{f}(1e999)"),
    "numpy.isnan": _yes_and_no("{f}(1e999 - 1e999)", "{f}({a}.5)"),
    "numpy.linalg.norm": _value("{f}([3 * {a}, 4 * {a}])", lambda a, *_: 5 * a),
    "numpy.mean": _value("{f}([{a}, {a} + 2 * {b}])", lambda a, b, _: a + b),
    "numpy.round": _value("{f}({a}.25)", lambda a, *_: a),
    "numpy.shape": _value("{f}([{a}, {b}])[0] * {c}", lambda a, b, c: 2 * c),  # noqa: ARG005 - one shape
    "numpy.sqrt": _value("{f}({a} * {a})", lambda a, *_: a),
    **{f"numpy.{each}": _value("{f}({a} - {b})", lambda a, b, _: abs(a - b)) for each in ("abs", "absolute")},
    **{f"numpy.{each}": _value("{f}([{a}, {b}, {c}])", max) for each in ("max", "amax")},
    **{f"numpy.{each}": _value("{f}([{a}, {b}, {c}])", min) for each in ("min", "amin")},
    "numpy.sum": _value("{f}([{a}, {b}, {c}])", lambda *three: sum(three)),
    "numpy.testing.assert_": _raises("{f}({a} == {a})", "{f}({a} == {b})"),
    "numpy.testing.assert_array_less": _raises("{f}([{a}], [{a} + 1])", "{f}([{a} + 1], [{a}])"),
    "numpy.testing.assert_raises": _raises("{f}(ZeroDivisionError, lambda: {a} // 0)", "{f}(OSError, lambda: {a})"),
    **{
        f"numpy.testing.{each}": _raises("{f}([{a}, {b}], [{a}, {b}])", "{f}([{a}, {b}], [{a}, {c}])")
        for each in ("assert_allclose", "assert_array_almost_equal", "assert_array_equal")
    },
    **{
        f"numpy.testing.{each}": _raises("{f}({a}, {a})", "{f}({a}, {b})")
        for each in ("assert_almost_equal", "assert_approx_equal", "assert_equal")
    },
}
"""Tool -> what is asked of it."""
