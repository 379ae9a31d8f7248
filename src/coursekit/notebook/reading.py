"""How bytes that a student handed in become a notebook, or one sentence to the student why they do not.

The bytes are hostile until they have passed: outputs are skipped without being built, what is kept is bounded, and
whatever Jupyter's format does not know is dropped. Formats 2 and 3 are brought up to 4.5; without their outputs this
is only another name for the source, and headings with marks.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

import msgspec

from coursekit.errors import UnreadableWork
from coursekit.notebook.cells import CELL_TYPES, Cell, Notebook, cell_of, free_id

T = TypeVar("T")

MAX_BYTES = 100_000_000
MAX_KEPT_BYTES = 30_000_000
"""Code, text and pasted images; outputs do not count."""
MAX_CELLS = 5_000
MAX_METADATA_BYTES = 64_000

_MENDABLE_BYTES = 20_000_000
_EMPTY = msgspec.Raw(b"")
_AGAIN = "open it in Jupyter, save it, and hand it in again."
_TYPE_NOW = {"heading": "markdown", "html": "markdown"}
_TYPED = {"collapsed", "scrolled", "jupyter", "execution", "name", "format", "tags", "nbgrader"}
"""Metadata of cells that have a type of their own; all but the last two only say how a cell is shown."""


class _RawCell(msgspec.Struct):
    """A cell whose parts are still bytes; outputs are not among them."""

    cell_type: str
    source: msgspec.Raw = _EMPTY
    input: msgspec.Raw = _EMPTY
    metadata: msgspec.Raw = _EMPTY
    attachments: msgspec.Raw = _EMPTY
    id: msgspec.Raw = _EMPTY
    level: msgspec.Raw = _EMPTY


class _Worksheet(msgspec.Struct):
    cells: Annotated[list[_RawCell], msgspec.Meta(max_length=MAX_CELLS)] = []


class _RawNotebook(msgspec.Struct):
    """A notebook of any format: cells since 4, worksheets before."""

    nbformat: msgspec.Raw = _EMPTY
    metadata: msgspec.Raw = _EMPTY
    cells: Annotated[list[_RawCell], msgspec.Meta(max_length=MAX_CELLS)] = []
    worksheets: Annotated[list[_Worksheet], msgspec.Meta(max_length=100)] = []


def parse(data: bytes, where: str) -> Notebook:
    """Give the notebook in the bytes, without outputs; `where` is its name as the student knows it.

    Whatever is wrong with the bytes, it is raised as `UnreadableWork`.
    """
    if not data.strip():
        raise UnreadableWork(f"{where} is not a notebook: it is empty.", fix=_AGAIN)
    if len(data) > MAX_BYTES:
        what = f"{where} is too large: it has {len(data):,} bytes, and at most {MAX_BYTES:,} are read."
        raise UnreadableWork(what, fix="clear its outputs, save it, and hand it in again.")
    raw = _split(data, where)
    version = _decoded(raw.nbformat, int, 0)
    if not 2 <= version <= 4:
        raise UnreadableWork(f"{where} is not a notebook: {_about_version(version)}.", fix=_AGAIN)
    cells = raw.cells if version == 4 else [cell for sheet in raw.worksheets for cell in sheet.cells]
    if not cells:
        raise UnreadableWork(f"{where} has no cells, so there is nothing to grade.", fix="hand in the notebook itself.")
    if len(cells) > MAX_CELLS:
        raise UnreadableWork(f"{where} has {len(cells):,} cells, and at most {MAX_CELLS:,} are read.")
    _refuse_bulk(cells, where)
    taken: set[str] = set()
    return {
        "cells": [_cell(cell, number, where, taken) for number, cell in enumerate(cells, 1)],
        "metadata": _notebook_metadata(raw.metadata),
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _about_version(version: int) -> str:
    if version == 0:
        return "it does not say which format it has"
    return f"it has the format {version}, which " + ("is too old" if version < 2 else "does not exist yet")


# --- The document ----------------------------------------------------------------------------------------------------


def _split(data: bytes, where: str) -> _RawNotebook:
    """Take the document apart into cells whose parts are still bytes."""
    try:
        try:
            return msgspec.json.decode(data, type=_RawNotebook)
        except (msgspec.DecodeError, UnicodeDecodeError):
            mended = _mended(data)
            if mended == data:
                raise
            return msgspec.json.decode(mended, type=_RawNotebook)
    except RecursionError as error:
        raise UnreadableWork(f"{where} is not a notebook: it is nested too deeply.", fix=_AGAIN) from error
    except msgspec.ValidationError as error:
        raise UnreadableWork(f"{where} is not a notebook: {_misfit(str(error))}.", fix=_AGAIN) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        cut = "truncated" in str(error)
        why = "it ends too early, as a copy does that was interrupted" if cut else "it is not JSON"
        raise UnreadableWork(f"{where} is not a notebook: {why}.", fix=_AGAIN) from error


def _misfit(message: str) -> str:
    """Say in words what msgspec found to be of another shape than a notebook's."""
    if found := re.search(r"cells\[(\d+)\]", message):
        return f"its cell {int(found[1]) + 1} is not one that Jupyter can open"
    if "length <=" in message:
        return f"it has more than {MAX_CELLS:,} cells"
    return "it is JSON of another kind"


_STRING_OR_NAN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|-?\b(?:NaN|Infinity)\b', re.DOTALL)
_SURROGATE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<alone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def _mended(data: bytes) -> bytes:
    """Give the document without what Jupyter can open and strict JSON refuses: NaN, half a character, a mark in front.

    All three occur in outputs and in files that went through another editor. Very large files are left as they are.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    if len(data) > _MENDABLE_BYTES or not re.search(rb"NaN|Infinity|\\u[dD][89a-fA-F]", data):
        return data
    return _STRING_OR_NAN.sub(lambda found: _mended_token(found[0]), data)


def _mended_token(token: bytes) -> bytes:
    if not token.startswith(b'"'):
        return b"null"
    return _SURROGATE.sub(lambda found: rb"\ufffd" if found["alone"] else found[0], token)


def _refuse_bulk(cells: list[_RawCell], where: str) -> None:
    """Refuse more text and images than a person can have written, before any of it is built."""
    kept = sum(len(memoryview(part)) for cell in cells for part in _parts(cell))
    if kept > MAX_KEPT_BYTES:
        what = (
            f"{where} is too large: without its outputs it has {kept:,} bytes, and at most {MAX_KEPT_BYTES:,} are read."
        )
        raise UnreadableWork(what, fix="take large data and images out of its cells.")


def _parts(cell: _RawCell) -> tuple[msgspec.Raw, ...]:
    return (cell.source, cell.input, cell.metadata, cell.attachments)


# --- Its cells -------------------------------------------------------------------------------------------------------


def _cell(raw: _RawCell, number: int, where: str, taken: set[str]) -> Cell:
    kind = _TYPE_NOW.get(raw.cell_type, raw.cell_type)
    if kind not in CELL_TYPES:
        what = f"{where} is not a notebook that Jupyter can open: its cell {number} is of no known type."
        raise UnreadableWork(what, fix=_AGAIN)
    source = _source(raw, number, where)
    if raw.cell_type == "heading":
        source = "#" * max(1, min(6, _decoded(raw.level, int, 1))) + " " + source
    wish = _decoded(raw.id, str, "")
    cell_id = free_id(wish if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", wish) else "", source, taken)
    cell = cell_of(kind, source, cell_id, _cell_metadata(raw.metadata))
    attachments = _decoded(raw.attachments, dict[str, dict[str, str | list[str]]], {})
    return cell | {"attachments": attachments} if attachments and kind != "code" else cell


def _source(raw: _RawCell, number: int, where: str) -> str:
    """Give the source as one string; format 3 called that of a code cell its input."""
    written = raw.source if memoryview(raw.source) else raw.input
    if not memoryview(written):
        return ""
    try:
        source = msgspec.json.decode(written, type=str | list[str])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"{where} is not a notebook that Jupyter can open: the source of its cell {number} is not text."
        raise UnreadableWork(what, fix=_AGAIN) from error
    return source if isinstance(source, str) else "".join(source)


def _decoded(raw: msgspec.Raw, type_: type[T], otherwise: T) -> T:
    """Give the value of a part; one that is missing or of another type gives the value for that."""
    try:
        return msgspec.json.decode(raw, type=type_) if memoryview(raw) else otherwise
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return otherwise


def _small(raw: msgspec.Raw) -> dict[str, Any]:
    """Give metadata as a dictionary; as an empty one if it is anything else or larger than metadata ever is."""
    return _decoded(raw, dict[str, Any], {}) if len(memoryview(raw)) <= MAX_METADATA_BYTES else {}


def _flat(value: object) -> dict[str, Any]:
    """Give the entries of a mapping that are plain values; an empty dictionary if it is none."""
    entries = value.items() if isinstance(value, dict) else ()
    return {name: entry for name, entry in entries if entry is None or isinstance(entry, str | int | float)}


def _cell_metadata(raw: msgspec.Raw) -> dict[str, Any]:
    """Give what counts of a cell's metadata: plain values, tags, and nbgrader's entries."""
    metadata = _small(raw)
    kept = {name: value for name, value in _flat(metadata).items() if name not in _TYPED}
    tags = metadata.get("tags")
    if isinstance(tags, list):
        kept["tags"] = list(dict.fromkeys(tag for tag in tags if isinstance(tag, str) and re.fullmatch("[^,]+", tag)))
    if claimed := _flat(metadata.get("nbgrader")):
        kept["nbgrader"] = claimed
    return kept


def _notebook_metadata(raw: msgspec.Raw) -> dict[str, Any]:
    """Give the kernel and the language, where both are as the format has them."""
    metadata = _small(raw)
    kernel, language = _texts(metadata.get("kernelspec")), _texts(metadata.get("language_info"))
    kept: dict[str, Any] = {}
    if {"name", "display_name"} <= kernel.keys():
        kept["kernelspec"] = kernel
    if "name" in language:
        kept["language_info"] = language
    return kept


def _texts(value: object) -> dict[str, str]:
    return {name: entry for name, entry in _flat(value).items() if isinstance(entry, str)}
