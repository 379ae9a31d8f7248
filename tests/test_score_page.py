"""The page about score.json names every field that a score has."""

import re
from importlib.resources import files

import pytest

from coursekit import records

PAGE = files("coursekit.report").joinpath("SCORE.md").read_text("utf-8")
SHOWN = ("Score", "Check", "Measurement", "Target", "Run", "Failure", "Collected", "Waiting", "Grade", "Provenance")


@pytest.mark.parametrize("name", SHOWN)
def test_the_page_names_every_field_of_a(name):
    record = getattr(records, name)
    fields = {record.__struct_encode_fields__[index] for index in range(len(record.__struct_fields__))}
    assert fields - set(re.findall(r"`(\w+)`", PAGE)) == set()


def test_the_page_names_the_schema():
    assert records.SCORE_SCHEMA in PAGE
