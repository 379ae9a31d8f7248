"""The packages that open models, as this release of coursekit wants them: another one may give other figures."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version

from coursekit.errors import ToolError

_WANTED = re.compile(r"(?P<name>[\w.-]+)(\[[^]]*\])?(?P<how>==|>=)(?P<version>[\w.]+)")


def missing(package: str, extra: str = "") -> ToolError:
    """Give the error that says which version of a package has to be installed."""
    asked = _wanted(package)[0]
    needed = f"; {asked} is needed" if asked != package else ""
    return ToolError(f"the Python package {package} is not installed{needed}.", fix=_remedy(extra))


def refuse_others(package: str, extra: str = "") -> None:
    """Raise `ToolError` if another version of a package is installed than coursekit wants.

    One that is missing is left to the program in the box, which can say better whether it can be imported.
    """
    asked, how, needed = _wanted(package)
    try:
        found = version(package)
    except PackageNotFoundError:
        return
    wrong = found != needed if how == "==" else _numbers(found) < _numbers(needed)
    if needed and wrong:
        raise ToolError(f"{asked} is needed; {package} {found} is installed.", fix=_remedy(extra))


def _remedy(extra: str) -> str:
    """Give the command that installs the right one."""
    return f"pip install 'coursekit[{extra}]'" if extra else "pip install coursekit"


def _wanted(package: str) -> tuple[str, str, str]:
    """Give the requirement, its comparison and its version."""
    try:
        stated = requires("coursekit") or []
    except PackageNotFoundError:
        stated = []
    for line in stated:
        found = _WANTED.match(line)
        if found and found["name"].lower().replace("_", "-") == package:
            return found[0], found["how"], found["version"]
    return package, "", ""


def _numbers(text: str) -> tuple[int, ...]:
    """Give the leading numbers of a version."""
    return tuple(int(part) for part in re.findall(r"\d+", re.match(r"[\d.]*", text)[0]))  # type: ignore[index]
