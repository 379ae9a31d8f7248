"""Which folder names can be a student or an assignment.

They become paths, patterns that nbgrader hands to glob, and keys of its database, so anything that means more than
itself in one of the three is refused.
"""

from __future__ import annotations

from coursekit.errors import CourseError

LONGEST = 128
"""What nbgrader's columns hold."""

_MEANINGFUL = frozenset("/\\*?[]{}+")


def accept(name: str, what: str) -> str:
    """Give the name back, or raise CourseError; `what` is the word for it in the sentence, such as 'a student'."""
    problem = _problem(name)
    if problem:
        shown = name if name.isprintable() and len(name) <= LONGEST else ascii(name[:LONGEST])
        raise CourseError(f"'{shown}' cannot be the name of {what}: {problem}.", fix="rename its folder.")
    return name


def _problem(name: str) -> str:
    if not name:
        return "it is empty"
    if name.startswith("."):
        return "it begins with a dot"
    if name != name.strip():
        return "it begins or ends with a space"
    if len(name) > LONGEST:
        return f"it has more than {LONGEST} characters"
    if not name.isprintable():
        return "it has characters that cannot be printed"
    if found := sorted(_MEANINGFUL & set(name)):
        return f"it has {' '.join(found)}, which nbgrader reads as a pattern or a path"
    return ""
