"""Inside a student's kernel: call one of their functions and publish what it gave.

This runs beside the student's code, which can change or forge all of it. That is expected: what comes out is a claim,
decoded and compared outside. It exists so that an honest function's value gets out unharmed.
"""

from __future__ import annotations

import json
from typing import Any

from coursekit import wire

MIME = "application/vnd.coursekit.answer+json"
_LONGEST = 2000


def answer(namespace: dict[str, Any], name: str, token: str) -> None:
    """Call `namespace[name]` and publish its value, or what went wrong.

    The encoded arguments come in the request's metadata: as a part of the code they would be parsed, for seconds.
    """
    from IPython import get_ipython  # noqa: PLC0415 - only a kernel has it
    from IPython.display import publish_display_data  # noqa: PLC0415 - likewise

    arguments = get_ipython().get_parent()["metadata"][MIME]
    publish_display_data({MIME: json.dumps({"token": token, **_call(namespace, name, arguments)})})


def _call(namespace: dict[str, Any], name: str, arguments: str) -> dict[str, Any]:
    function = namespace.get(name)
    if function is None:
        return {"missing": True}
    if not callable(function):
        return {"missing": True, "message": type(function).__name__}
    try:
        value = function(*wire.decode(arguments.encode()))
    except BaseException as error:  # noqa: BLE001 - whatever a student's function raises is the answer, exit() too
        return {"raised": type(error).__name__, "message": str(error)[:_LONGEST]}
    try:
        return {"value": wire.encode(value).decode()}
    except wire.Unsendable as error:
        return {"unsendable": str(error)[:_LONGEST]}
