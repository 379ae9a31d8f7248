"""The author's words of a message stay; what was filled in stays only where it is the author's too."""

import pytest

from coursekit.assertions import as_written, literals

CHECK = """\
KINDS = {"above zero": 1, "below zero": -1}
def test(kernel):
    '''A sentence for students.'''
    for kind, x in KINDS.items():
        got = kernel.call("f", x)
        assert got == 1, f"For values {kind}, {got:.2f} came; 1 was wanted."
        assert got, "Nothing came."
"""


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("For values above zero, 3.14 came; 1 was wanted.", "For values above zero, … came; 1 was wanted."),
        ("For values SECRET, SECRET came; 1 was wanted.", "For values …, … came; 1 was wanted."),
        (
            "For values above zero, above zero came; 1 was wanted.",
            "For values above zero, above zero came; 1 was wanted.",
        ),
        ("For values a, b came; 1 was wanted., c came; 1 was wanted.", "For values …, … came; 1 was wanted."),
        ("Nothing came.", "Nothing came."),
        ("A sentence for students.", "A sentence for students."),
        ("SECRET", ""),
        ("Nothing came. SECRET", ""),
        ("SECRET Nothing came.", ""),
        ("", ""),
    ],
)
def test_only_words_of_the_check_s_own_file_are_kept(message, shown):
    assert as_written(CHECK, message, literals(CHECK)) == shown


def test_without_known_words_every_value_is_left_out():
    shown = "For values …, … came; 1 was wanted."
    assert as_written(CHECK, "For values above zero, 3.14 came; 1 was wanted.") == shown


@pytest.mark.parametrize(
    ("source", "message", "shown"),
    [
        ("assert x, f'{a}{b} is off'", "12 is off", "… is off"),
        ("assert x, f'off by {a}'", "off by off by 3", "off by …"),
        ("assert x, f'{a} is {a} is'", "1 is 2 is", "… is … is"),
        ("assert x, 'one ' + 'two'", "one two", "one two"),
        ("assert x, f'ab{a}ba'", "aba", ""),
        ("raise ValueError(f'no {a}')", "no thing", "no …"),
        ("assert x, y", "anything", ""),
        ("this is no Python", "anything", ""),
    ],
)
def test_a_message_is_told_by_its_constant_parts(source, message, shown):
    assert as_written(source, message) == shown


def test_a_hostile_message_takes_no_longer_than_its_length():
    source = "assert x, f'{a}a{b}a{c}a{d}a{e}b'"
    assert as_written(source, "a" * 1_000_000) == ""
    assert as_written(source, "a" * 1_000_000 + "b") == "…a…a…a…a…b"
