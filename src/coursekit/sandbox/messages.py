"""Jupyter messages from a kernel, read as what they are: bytes from a stranger.

Each is decoded into a small record that holds only what we use. Signatures are not checked: the student's code lives
in the kernel and has the key. What does not decode raises Malformed and is counted by the caller.
"""

from __future__ import annotations

from typing import Any

import msgspec

_DELIMITER = b"<IDS|MSG>"
_FRAMES = 5  # signature, header, parent, metadata, content
_JSON_SUFFIX = "json"
_MAX_DEPTH = 64


class Malformed(ValueError):
    """Bytes that are not a Jupyter message."""


class _Header(msgspec.Struct):
    msg_type: str
    msg_id: str = ""


class _Parent(msgspec.Struct):
    msg_id: str = ""


class Message(msgspec.Struct, frozen=True):
    """One message: its type, the request it answers, and its content, not yet looked at."""

    kind: str
    parent: str
    content: bytes


class Stream(msgspec.Struct):
    """Text on stdout or stderr."""

    name: str
    text: str


class Display(msgspec.Struct):
    """Something shown, in one or more formats."""

    data: dict[str, Any]


class Error(msgspec.Struct):
    """An exception that ended a cell."""

    ename: str
    evalue: str
    traceback: list[str] = []


class State(msgspec.Struct):
    """Whether the kernel works on something."""

    execution_state: str


class Executed(msgspec.Struct, frozen=True):
    """The reply to an execute request."""

    status: str
    ename: str = ""
    evalue: str = ""
    user_expressions: dict[str, Any] = {}

    def said(self, name: str) -> str:
        """The value of one of the request's expressions as text; empty if there is none."""
        found = self.user_expressions.get(name)
        data = found.get("data") if isinstance(found, dict) else None
        text = data.get("text/plain") if isinstance(data, dict) else None
        return text if isinstance(text, str) else ""


def parse(frames: list[bytes]) -> Message:
    """The message in these frames."""
    try:
        at = frames.index(_DELIMITER)
        _, header, parent, _, content = frames[at + 1 : at + 1 + _FRAMES]
        head = msgspec.json.decode(header, type=_Header)
        return Message(head.msg_type, msgspec.json.decode(parent, type=_Parent).msg_id, content)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from error


def content(message: Message, kind: type[Any]) -> Any:
    """The message's content as one of the records above."""
    try:
        return msgspec.json.decode(message.content, type=kind)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from error


def read_json(text: str, kind: type[Any]) -> Any:
    """Text as one of the caller's records. Raises Malformed."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from error


def output(message: Message) -> dict[str, Any] | None:
    """The message as an output of a notebook cell, or None if it is no output."""
    if message.kind == "stream":
        stream = content(message, Stream)
        return {"output_type": "stream", "name": "stderr" if stream.name == "stderr" else "stdout", "text": stream.text}
    if message.kind in ("display_data", "execute_result"):
        shown = {"output_type": message.kind, "data": _bundle(content(message, Display).data), "metadata": {}}
        return {**shown, "execution_count": None} if message.kind == "execute_result" else shown
    if message.kind == "error":
        error = content(message, Error)
        return {
            "output_type": "error",
            "ename": error.ename,
            "evalue": error.evalue,
            "traceback": error.traceback,
        }
    return None


def _bundle(data: dict[str, Any]) -> dict[str, Any]:
    """Only what the notebook format allows: text, or JSON, of a depth that others can read, under a JSON type."""
    return {
        mime: value
        for mime, value in data.items()
        if isinstance(value, str) or (mime.endswith(_JSON_SUFFIX) and not _deeper(value, _MAX_DEPTH))
    }


def _deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested in more than so many levels."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_deeper(each, levels - 1) for each in inner)


def append(outputs: list[dict[str, Any]], new: dict[str, Any]) -> None:
    """Add an output; text goes on in the stream before it."""
    last = outputs[-1] if outputs else None
    if last and new["output_type"] == "stream" == last["output_type"] and last["name"] == new["name"]:
        last["parts"].append(new["text"])
        return
    if new["output_type"] == "stream":
        new = {**new, "parts": [new["text"]]}
    outputs.append(new)


def joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs with the parts of each stream put together."""
    return [
        {**{key: value for key, value in each.items() if key != "parts"}, "text": "".join(each["parts"])}
        if "parts" in each
        else each
        for each in outputs
    ]
