"""How a YAML or JSON file becomes a record, and the sentence its author reads when it does not.

A file is never half accepted: an unknown field, a wrong type, a name written twice, a time without a zone or a number
that is not finite is a `SpecError` that names the file, the place in it and, where there is one, the field meant.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
import yaml

from coursekit.errors import SpecError

T = TypeVar("T")

MAX_YAML_BYTES = 1_000_000
MAX_DEPTH = 32
_MOST = 2**53
"""The largest number that a file may hold: beyond it, readers of JSON round."""

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "empty",
    "datetime": "a time",
    "date": "a date",
    "bytes": "binary data",
}


def decode_yaml(data: bytes, type_: type[T], where: str) -> T:
    """Give the record of this type that the YAML file holds; `where` is the file's name as its author knows it."""
    if len(data) > MAX_YAML_BYTES:
        raise SpecError(f"is larger than {MAX_YAML_BYTES:,} bytes.", where=where, fix="keep data out of YAML files.")
    return _convert(_read_yaml(data, where), type_, where)


def decode_json(data: bytes, type_: type[T], where: str) -> T:
    """Give the record of this type that the JSON document holds; `where` is the file's name."""
    try:
        tree = msgspec.json.decode(data)
    except RecursionError as error:
        raise SpecError("is nested too deeply.", where=where) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"is not JSON: {error}.", where=where) from error
    return _convert(tree, type_, where)


# --- YAML, without the parts that make a file mean something else than it says ---------------------------------------


class _Refused(Exception):
    """What the file may not contain, and where; it carries the sentence out of the loader and no further."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.fix = fix


class _Loader(yaml.SafeLoader):
    """Safe YAML where every value is written out once, in place."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases, which a few lines of can make a file of any size, tags and deep nesting."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(f"line {line}: an alias (*name) cannot be used here.", "write the value out again.")
        if getattr(event, "tag", None) is not None:
            raise _Refused(f"line {line}: a tag (!!name) cannot be used here.", "write the value alone.")
        if self.depth == MAX_DEPTH:
            raise _Refused("is nested too deeply.")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> str:
        """Refuse halves of a character, which no file can hold."""
        text: str = super().construct_scalar(node)
        if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
            raise _Refused(f"line {node.start_mark.line + 1}: half a character (\\ud800 to \\udfff) is no text.")
        return text

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a name that is written twice: YAML itself would silently keep the last."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # refused further on, as a name that is not text
            if key.value in seen:
                line = key.start_mark.line + 1
                raise _Refused(f"line {line}: '{key.value}' is written twice in one mapping.", "keep one of them.")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read_yaml(data: bytes, where: str) -> object:
    """Give the file as plain values; text is UTF-8 and nothing else."""
    try:
        tree: object = yaml.load(data.decode("utf-8-sig"), Loader=_Loader)  # noqa: S506 - a stricter SafeLoader
    except UnicodeDecodeError as error:
        raise SpecError("is not UTF-8 text.", where=where) from error
    except _Refused as error:
        raise SpecError(str(error), where=where, fix=error.fix) from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise SpecError(f"is not YAML: {line}{error.problem or error}.", where=where) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2027-13-45
        raise SpecError(f"is not YAML: {str(error).splitlines()[0]}.", where=where) from error
    return tree


# --- Plain values to a record ----------------------------------------------------------------------------------------


def _convert(tree: object, type_: type[T], where: str) -> T:
    try:
        record = msgspec.convert(tree, type_, strict=True)
    except msgspec.ValidationError as error:
        raise _explain(str(error), tree, type_, where) from error
    _refuse_unclear(record, "", where)
    return record


def _refuse_unclear(value: object, path: str, where: str) -> None:
    """Refuse times without a zone, and numbers that are not finite or that nothing has so many of, in all of it."""
    if isinstance(value, datetime) and value.tzinfo is None:
        fix = f"write the offset from UTC too, as in {value.isoformat()}-05:00."
        raise SpecError(f"{path} is a time without a zone.", where=where, fix=fix)
    if isinstance(value, float) and not math.isfinite(value):
        raise SpecError(f"{path} must be a finite number, not {value}.", where=where)
    if isinstance(value, int | float) and abs(value) > _MOST:
        raise SpecError(f"{path} is beyond {_MOST:,}, either way.", where=where)
    for step, item in _items(value):
        _refuse_unclear(item, _join(path, step), where)


def _items(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            yield f".{field.encode_name}", getattr(value, field.name)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f".{key}", item
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield f"[{number}]", item


def _join(path: str, step: str) -> str:
    return (path + step).removeprefix(".")


# --- The sentence ----------------------------------------------------------------------------------------------------


def _explain(message: str, tree: object, type_: Any, where: str) -> SpecError:
    """Turn msgspec's message into ours: the same fact, in words and with the field that was probably meant."""
    fact, _, place = message.partition(" - at ")
    steps = re.findall(r"\.[^.\[\]`]+|\[[^\]]+\]", place)
    path, type_, value = _follow(steps, tree, type_)
    if found := re.fullmatch(r"Object contains unknown field `(.*)`", fact, re.DOTALL):
        inside = f" in {path}" if path else ""
        fix = near(found[1], _field_names(type_))
        return SpecError(f"there is no field called '{found[1]}'{inside}.", where=where, fix=fix)
    if found := re.fullmatch(r"Object missing required field `(.*)`", fact):
        inside = f" in {path}" if path else ""
        return SpecError(f"the field '{found[1]}' is missing{inside}.", where=where, fix=f"add '{found[1]}: ...'.")
    if place.startswith("`key`") and (found := re.fullmatch(r"Invalid enum value '(.*)'", fact, re.DOTALL)):
        choices = _choices(_member(type_, dict, 0))
        return SpecError(f"there is no '{found[1]}' in {path}.", where=where, fix=near(found[1], choices))
    if fact.startswith("Invalid enum value"):
        choices = _choices(type_)
        what = f"{path} must be {_one_of(repr(choice) for choice in choices)}, not {value!r}."
        return SpecError(what, where=where, fix=near(str(value), choices))
    if place.startswith("`key`") and isinstance(value, dict):
        odd = next((key for key in value if not isinstance(key, str)), "")
        return SpecError(f"the name {odd!r} must be text.", where=where, fix="put it in quotes.")
    return _wrong_value(fact, path, value, where)


def _wrong_value(fact: str, path: str, value: object, where: str) -> SpecError:
    """Say what the value should be and what it is."""
    if fact.startswith("Invalid RFC3339"):
        what = f"{path} must be a time, not {str(value)!r:.60}."
        return SpecError(what, where=where, fix="write it as 2027-02-12T23:59:00-05:00.")
    found = re.fullmatch(r"Expected `([^`]*)`, got `([^`]*)`", fact)
    if not found:  # a condition of the record itself, already a sentence
        return SpecError(f"{path}: {fact}" if path else fact, where=where)
    wanted = [word for word in found[1].split(" | ") if word != "null"]
    if "float" in wanted and "int" in wanted:
        wanted.remove("int")
    got = repr(value) if isinstance(value, float) else _WORDS.get(found[2], found[2])
    subject = path or "the file"
    what = f"{subject} must be {_one_of(_WORDS.get(word, word) for word in wanted)}, not {got}."
    return SpecError(what, where=where, fix=_retype(value, wanted))


def _retype(value: object, wanted: list[str]) -> str:
    """Say how to write what YAML has read as another type than a person would."""
    if wanted == ["datetime"] and isinstance(value, date):
        return f"write the time of day too, as in {value.isoformat()[:10]}T23:59:00-05:00."
    if isinstance(value, str) and {"int", "float"} & set(wanted):
        return _plain_number(value)
    if "str" in wanted and isinstance(value, int | float | date):
        return "put it in quotes."
    return ""


def _plain_number(text: str) -> str:
    """Say how to write a number such as 3e2 or '300', which YAML takes for text; empty if it is not one."""
    try:
        plain = f"{float(text):f}".rstrip("0").rstrip(".")
        return f"YAML reads {text!r} as text: write {plain}." if float(plain) == float(text) else ""
    except ValueError:
        return ""


def _follow(steps: list[str], tree: Any, type_: Any) -> tuple[str, Any, Any]:
    """Walk msgspec's path through the values and their types; give the readable path, and type and value at its end."""
    path = ""
    for step in steps:
        if step == "[...]" and isinstance(tree, dict):
            type_ = _member(type_, dict, 1)
            key = next((key for key, value in tree.items() if not _fits(value, type_)), None)
            path, tree = _join(path, f".{key}"), tree.get(key)
        elif step.startswith("["):
            type_ = _member(type_, (list, tuple), 0)
            path, tree = _join(path, step), tree[int(step[1:-1])] if isinstance(tree, list) else None
        else:
            type_ = _field_type(type_, step[1:])
            path, tree = _join(path, step), tree.get(step[1:]) if isinstance(tree, dict) else None
    return path, type_, tree


def _fits(value: object, type_: Any) -> bool:
    try:
        msgspec.convert(value, type_, strict=True)
    except msgspec.ValidationError:
        return False
    return True


def _options(type_: Any) -> tuple[Any, ...]:
    """Give the members of a union, or the type itself."""
    return get_args(type_) if get_origin(type_) in (Union, UnionType) else (type_,)


def _member(type_: Any, containers: type | tuple[type, ...], argument: int) -> Any:
    """Give the type of the items of a container type; Any if it does not say."""
    for option in _options(type_):
        origin = get_origin(option)
        if isinstance(origin, type) and issubclass(origin, containers):
            return get_args(option)[argument]
    return Any


def _field_type(type_: Any, name: str) -> Any:
    for option in _options(type_):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return next((field.type for field in msgspec.structs.fields(option) if field.encode_name == name), Any)
    return Any


def _field_names(type_: Any) -> list[str]:
    structs = [option for option in _options(type_) if isinstance(option, type) and issubclass(option, msgspec.Struct)]
    return [field.encode_name for struct in structs for field in msgspec.structs.fields(struct)]


def _choices(type_: Any) -> list[str]:
    literals = [option for option in _options(type_) if get_origin(option) is Literal]
    return [str(choice) for literal in literals for choice in get_args(literal)]


def near(word: str, choices: Iterable[str]) -> str:
    """Give a fix: the choice that was probably meant, or all there are; empty if there are none."""
    names = list(choices)
    if close := difflib.get_close_matches(word, names, n=1):
        return f"did you mean '{close[0]}'?"
    return f"use {_one_of(repr(name) for name in names)}." if names else ""


def _one_of(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
