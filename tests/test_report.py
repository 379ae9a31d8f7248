"""The report room: every view says the same, in its own medium, and nothing a student wrote can act there."""

import base64
import csv
import hashlib
import io
import re
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser

import pytest
from rich.console import Console

from coursekit import scoring
from coursekit.records import (
    Band,
    Check,
    Collected,
    Failure,
    Grade,
    Late,
    Measurement,
    Provenance,
    Run,
    Score,
    Target,
    Waiting,
)
from coursekit.report import html, phrases, terminal
from coursekit.report.bars import bar
from coursekit.report.html import page
from coursekit.report.table import class_csv

ZONE = timezone(timedelta(hours=-5))
DUE = datetime(2027, 2, 12, 23, 59, tzinfo=ZONE)
SIZE = Target(id="size", metric="file_bytes", points=10, at_most=Band(pass_=50_000, full=35_000))
ACCURACY = Target(id="acc", metric="accuracy", points=12, at_least=Band(pass_=0.93, full=0.96))
EVIL = (
    "<script>alert(1)</script><img src=x onerror=y> {{7*7}} [bold red]hi[/] [link=http://e.vil]x[/link] \"'&"
    "\x1b[31mred\x1b]8;;http://e.vil\x07link\x1b]8;;\x07\x9b1m\u202e\u2066abc\x00\r\n\tnext " + "A" * 5_000
)


def figure(value, metric="file_bytes", **rest):
    unit = {"file_bytes": "bytes", "accuracy": "1"}.get(metric, "ms")
    return Measurement(metric=metric, value=value, unit=unit, engine="flatbuffer", **rest)


def check(name, outcome="passed", points=3.0, earned=3.0, **rest):
    return Check(id=name, sentence=f"The {name} is right.", outcome=outcome, points=points, earned=earned, **rest)


MIXED = Score(
    assignment="quantize",
    title="Quantize a digit reader",
    student="ada",
    status="scored",
    earned=10.3,
    possible=19,
    checks=(
        check("roundtrip"),
        check("zero", "failed", earned=0.0, hint="Round to nearest, do not truncate."),
        check("channels", "blocked", earned=0.0, hint="It needs quantize."),
        check("size", points=10, earned=7.3, measurement=figure(45_120), target=SIZE),
    ),
    waiting=(Waiting(id="why", points=5),),
    withheld=2,
    notes=("The cell 'setup' was missing and put back as released.",),
    run=Run(
        state="finished",
        failures=(Failure(cell=7, name="NameError", message="name 'x' is not defined", source="y = 1\nx + y"),),
        artifact=Collected(path="model.tflite", bytes=45_120, sha256="ab" * 32),
        wall_seconds=41.7,
        cpu_seconds=63.2,
        peak_memory_bytes=812_000_000,
    ),
    grade=Grade(due=DUE, submitted_at=DUE + timedelta(hours=8), days_late=1, penalty=1.03, earned=9.27),
    provenance=Provenance(
        coursekit="0.1.0",
        submission_sha256="3f" * 32,
        grader_sha256="9c" * 32,
        environment_sha256="41" * 32,
        seed_id="spring-1",
        profiles={"nano33": "77" * 32},
        tools={"ai-edge-litert": "2.1.0"},
    ),
)
BROKEN = Score(
    assignment="quantize",
    student="grace",
    status="unscored",
    reason="The check 'a' broke, which says nothing about the work. The instructor has to mend this.",
    earned="unscored",
    possible=3,
    checks=(check("a", "broken", earned="unscored", hint="hidden input was 0.73"),),
)
HOSTILE = Score(
    assignment=EVIL,
    title=EVIL,
    student=EVIL,
    status="scored",
    earned=0.0,
    possible=3,
    checks=(
        Check(
            id=EVIL,
            sentence=EVIL,
            outcome="failed",
            points=3,
            earned=0.0,
            hint=EVIL,
            measurement=Measurement(metric=EVIL, value=EVIL, unit=EVIL, engine=EVIL, profile=EVIL, note=EVIL),
        ),
    ),
    waiting=(Waiting(id=EVIL, points=2),),
    notes=(EVIL,) * 100,
    run=Run(
        state="stopped",
        reason=EVIL,
        failures=(Failure(cell=1, name=EVIL, message=EVIL, source=f"{EVIL}\n" * 9),) * 50,
        artifact=Collected(path=EVIL, problem=EVIL),
    ),
    provenance=Provenance(
        coursekit=EVIL,
        submission_sha256=EVIL,
        grader_sha256=EVIL,
        environment_sha256=EVIL,
        seed_id=EVIL,
        profiles={EVIL: EVIL},
        tools={EVIL: EVIL},
    ),
)


def shown(renderable, *, width=80, color=None):
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=color is not None, color_system=color, legacy_windows=False).print(
        renderable
    )
    return out.getvalue()


def flat(text):
    return " ".join(text.split())


# --- Terminal --------------------------------------------------------------------------------------------------------


def test_a_score_is_shown_with_words_symbols_points_and_hints():
    text = flat(shown(terminal.score_table(MIXED)))
    for part in (
        "Quantize a digit reader ada 10.3 of 19 points",
        "✓ passed The roundtrip is right. 3 / 3",
        "✗ failed The zero is right. 0 / 3 Round to nearest, do not truncate.",
        "○ blocked The channels is right. 0 / 3 It needs quantize.",
        "✓ passed The size is right. 7.3 / 10 45,120 bytes · exact · by flatbuffer",
        "… waiting why: a person marks this. - / 5",
        "Due 2027-02-12 23:59 UTC-05:00. Handed in 2027-02-13 07:59 UTC-05:00, 1 day late: this takes 1.03 points off",
        "1 answer waits for a person to mark, for up to 5 points more.",
        "2 hidden checks were not run here.",
        "Code cell 7 raised NameError: name 'x' is not defined y = 1 x + y",
        "The cell 'setup' was missing and put back as released.",
    ):
        assert part in text


def test_what_has_no_score_says_so_and_whose_move_it_is():
    text = flat(shown(terminal.score_table(BROKEN)))
    assert "quantize grace no score yet" in text
    assert "! broken The a is right. - / 3" in text
    assert "The instructor has to mend this." in text


def test_a_class_is_shown_with_a_legend():
    text = shown(terminal.class_table([MIXED, BROKEN]))
    assert re.search(r"ada +10.3 / 19 +9.27 +✓2 ✗1 ○1 …1 +Code cell \d+ raised", text)
    assert "1 day late" in " ".join(text.split())
    assert re.search(r"grace +no score +- +!1 +The check 'a' broke", text)
    assert "✓ passed   ✗ failed   ○ blocked   ! broken   … waiting" in text


@pytest.mark.parametrize("score", [MIXED, BROKEN, HOSTILE], ids=["mixed", "broken", "hostile"])
@pytest.mark.parametrize("width", [80, 60])
def test_every_table_fits_its_terminal(score, width):
    text = shown(terminal.score_table(score), width=width) + shown(terminal.class_table([score]), width=width)
    assert max(len(line) for line in text.splitlines()) <= width


def test_nothing_a_student_wrote_reaches_the_terminal_as_more_than_text():
    text = shown(terminal.score_table(HOSTILE)) + shown(terminal.class_table([HOSTILE]))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "[bold" in text
    assert len(text) < 40_000
    coloured = shown(terminal.score_table(HOSTILE), color="truecolor")
    assert "]8;" not in coloured
    assert "e.vil\x1b" not in coloured


def test_colour_only_repeats_what_words_say():
    plain, coloured = (shown(terminal.score_table(MIXED), color=color) for color in (None, "standard"))
    assert "\x1b" not in plain
    assert "\x1b" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


# --- Phrases ---------------------------------------------------------------------------------------------------------


def test_text_is_cleaned_to_what_an_eye_can_see():
    assert phrases.clean(" a\x1b[31mb\x1b]0;title\x07c\x1b(Bd\u202ee\x00f\n\tg\ud800 ") == "abcdef g"
    assert phrases.clean("x" * 10, 4) == "xxx…"
    assert phrases.clean("größer, 数, é🎉") == "größer, 数, é🎉"
    assert phrases.clean_block("\n\tif x:\n\t\ty\x07\n", 100) == "    if x:\n        y"


@pytest.mark.parametrize(
    ("grade", "sentence"),
    [
        (Grade(due=None, submitted_at=None, days_late=0, penalty=0, earned=1), "There is no due time. When it was"),
        (
            Grade(due=DUE, submitted_at=DUE, days_late=0, penalty=0, earned=1),
            "Due 2027-02-12 23:59 UTC-05:00. Handed in 2027-02-12 23:59 UTC-05:00, on time.",
        ),
        (
            Grade(due=DUE, submitted_at=None, days_late=0, penalty=0, earned=1),
            "Due 2027-02-12 23:59 UTC-05:00. When it was handed in is not known, so it counts as on time.",
        ),
        (
            Grade(due=DUE.astimezone(UTC), submitted_at=DUE, days_late=0, penalty=0, earned=1, extended=True),
            "Due 2027-02-13 04:59 UTC, with an extension.",
        ),
        (
            Grade(due=DUE, submitted_at=DUE, days_late=2, penalty=0, earned=1),
            "Due 2027-02-12 23:59 UTC-05:00. Handed in 2027-02-12 23:59 UTC-05:00, 2 days late: this costs nothing.",
        ),
        (
            Grade(due=DUE, submitted_at=DUE, days_late=9, penalty=5, earned=0),
            "Due 2027-02-12 23:59 UTC-05:00. Handed in 2027-02-12 23:59 UTC-05:00, 9 days late: too late to earn",
        ),
        (
            Grade(due=DUE, submitted_at=DUE, days_late=9, penalty="unscored", earned="unscored"),
            "Due 2027-02-12 23:59 UTC-05:00. Handed in 2027-02-12 23:59 UTC-05:00, 9 days late.",
        ),
    ],
)
def test_lateness_is_said_in_a_sentence(grade, sentence):
    assert phrases.lateness(grade).startswith(sentence)


def test_a_figure_is_shown_with_unit_band_profile_and_status():
    latency = figure(14.2, "latency_ms", band=0.12, status="calibrated", profile="nucleo")
    assert phrases.measured(latency) == "14.2 ms ±12 %"
    assert phrases.origin(latency) == ["on nucleo", "calibrated", "by flatbuffer"]
    assert phrases.measured(figure(0.9299999, "accuracy"), ACCURACY) == "0.9299999"


# --- Bars ------------------------------------------------------------------------------------------------------------


def test_a_bar_puts_the_figure_between_its_marks():
    drawn = bar(figure(42_500), SIZE)
    assert [zone.kind for zone in drawn.zones] == ["all", "part", "none"]
    assert [(tick.text, tick.anchor) for tick in drawn.ticks] == [("pass 50,000", "start"), ("full 35,000", "end")]
    assert (drawn.x, drawn.beyond) == (50, "")
    drawn = bar(figure(0.97, "accuracy"), ACCURACY)
    assert [zone.kind for zone in drawn.zones] == ["none", "part", "all"]
    assert drawn.x > drawn.zones[2].x


@pytest.mark.parametrize(("value", "beyond", "x"), [(10**12, "right", 100), (-(10**12), "left", 0), (5_000, "", 5.88)])
def test_a_figure_far_off_is_drawn_at_the_edge(value, beyond, x):
    drawn = bar(figure(value), SIZE)
    assert (drawn.beyond, drawn.x) == (beyond, x)


@pytest.mark.parametrize("value", [-1e300, -3, 0, 1e-9, 0.5, 34_999, 35_000, 50_000, 50_001, 90_000, 1e300])
@pytest.mark.parametrize("marks", [(50_000, 35_000), (0, 0), (1, 1), (-3, -9), (1e-9, 0)])
def test_every_bar_is_whole_and_holds_everything_drawn_on_it(value, marks):
    for target in (
        Target(id="t", metric="m", points=1, at_most=Band(pass_=marks[0], full=marks[1])),
        Target(id="t", metric="m", points=1, at_least=Band(pass_=marks[1], full=marks[0])),
    ):
        drawn = bar(figure(value, band=0.2), target)
        assert sum(zone.width for zone in drawn.zones) == pytest.approx(100)
        assert 0 <= drawn.low <= drawn.x <= drawn.high <= 100
        assert all(0 <= tick.x <= 100 for tick in drawn.ticks)


@pytest.mark.parametrize("value", ["int8", float("nan"), float("inf")])
def test_what_is_no_number_has_no_bar(value):
    assert bar(figure(value), SIZE) is None
    assert bar(figure(1), None) is None


# --- Page ------------------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data):
        self.texts.append(data)


def opened(score, course="Machine Learning Systems"):
    text = page(score, course)
    reader = Reader()
    reader.feed(text)
    return text, reader, flat(" ".join(reader.texts))


def test_a_page_says_everything_about_a_score():
    text, _, seen = opened(MIXED)
    assert text.startswith("<!doctype html>")
    for part in (
        "Machine Learning Systems Quantize a digit reader ada 9.27 of 19 points",
        "✓ 2 passed ✗ 1 failed ○ 1 blocked … 1 waiting",
        "1 day late: this takes 1.03 points off and leaves 9.27.",
        "✗ failed The zero is right. Round to nearest, do not truncate. zero 0 / 3",
        "45,120 bytes exact · by flatbuffer pass 50,000 full 35,000",
        "A person marks this answer. why - / 5",
        "Code cell 7: NameError : name 'x' is not defined y = 1 x + y",
        "The cell 'setup' was missing and put back as released.",
        "Time 41.7 s (1 min 3 s of processor time)",
        "Memory at its peak 812 MB",
        "Artifact model.tflite: 45.1 kB",
        "Submission 3f3f3f3f3f3f",
        "Profile nano33 777777777777",
        "Seed spring-1",
        "ai-edge-litert 2.1.0",
    ):
        assert part in seen


def test_a_page_without_a_score_says_why_and_keeps_what_a_hidden_check_said():
    _, _, seen = opened(BROKEN)
    assert "No score yet ! 1 broken The check 'a' broke" in seen
    assert "0.73" not in seen


def test_a_page_fetches_nothing_runs_nothing_and_says_so():
    text, reader, _ = opened(MIXED)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}';" in text
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "a"} & set(reader.tags)
    assert not [name for _, name, _ in reader.attributes if name in {"src", "href", "style"} or name.startswith("on")]
    assert "url(" not in style
    assert "@import" not in style


def test_a_table_has_headers_and_no_outcome_is_only_a_colour():
    text, reader, seen = opened(MIXED)
    scopes = [value for tag, name, value in reader.attributes if (tag, name) == ("th", "scope")]
    assert scopes == ["col"] * 3 + ["row"] * 5
    assert ("html", "lang", "en") in reader.attributes
    assert all(word in seen for word in ("✓ passed", "✗ failed", "○ blocked", "… waiting"))
    assert all(rule in text for rule in ("prefers-color-scheme: dark", "max-width: 34rem", "@media print"))


def test_nothing_a_student_wrote_is_more_than_text_on_a_page():
    text, reader, seen = opened(HOSTILE, course=EVIL)
    harmless = set(opened(MIXED)[1].tags)
    assert set(reader.tags) <= harmless
    assert "<script>alert(1)</script>" in seen
    assert "{{7*7}}" in seen
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "A" not in "".join(value or "" for tag, _, value in reader.attributes if tag not in {"meta", "svg"})
    assert len(text) < 60_000
    assert "45 more cells raised." in seen


# --- Class list ------------------------------------------------------------------------------------------------------


def rows(scores):
    return list(csv.DictReader(io.StringIO(class_csv(scores))))


def test_a_class_list_has_a_line_for_each_student_and_a_column_for_each_check():
    ada, grace = rows([MIXED, BROKEN])
    assert ada == {
        "student": "ada",
        "submitted_at": "2027-02-13T07:59:00-05:00",
        "days_late": "1",
        "status": "waiting",
        "earned": "10.3",
        "possible": "19",
        "penalty": "1.03",
        "grade": "9.27",
        "roundtrip": "3",
        "zero": "0",
        "channels": "0",
        "size": "7.3",
        "a": "",
        "why": "waiting",
    }
    assert (grace["status"], grace["earned"], grace["grade"], grace["a"]) == ("unscored",) * 4
    assert (grace["submitted_at"], grace["days_late"], grace["zero"]) == ("", "", "")


def test_marks_given_by_hand_join_the_grade():
    late = Late(percent_per_day=10, days=3)
    (ada,) = rows([scoring.with_marks(MIXED, {"why": 4.5, "other": 9.0}, late)])
    assert (ada["status"], ada["why"], ada["earned"]) == ("scored", "4.5", "14.8")
    assert (ada["penalty"], ada["grade"]) == ("1.48", "13.32")


def test_a_mark_is_shown_on_the_page_and_in_the_terminal():
    marked = scoring.with_marks(MIXED, {"why": 4.5}, None)
    assert "A person marked this answer." in html.page(marked)
    assert "why: a person marked this." in shown(terminal.score_table(marked))


WHY = "'all', which the tests use, gave a wrong answer to a question just before it."
HELD = Score(
    assignment="quantize",
    student="edsger",
    status="scored",
    earned=3.0,
    possible=6,
    checks=(check("roundtrip"), check("zero", "blocked", earned=0.0, hint="A person will look at this.")),
    waiting=(Waiting(id="zero", points=3, reason=WHY),),
)


def test_why_a_check_waits_is_for_whoever_grades_and_not_on_the_student_s_page():
    assert f"zero: {WHY}" in flat(shown(terminal.score_table(HELD), width=200))
    assert "zero waits for a person: 'all', which the tests use" in flat(shown(terminal.class_table([HELD]), width=200))
    text = page(HELD)
    assert "A person will look at this." in text
    assert "which the tests use" not in text
    assert text.count("A person marks this answer.") == 0


def test_a_check_that_waits_is_marked_once_and_counted_once():
    (before,) = rows([HELD])
    assert (before["status"], before["zero"], before["earned"], before["possible"]) == ("waiting", "waiting", "3", "6")
    (after,) = rows([scoring.with_marks(HELD, {"zero": 2.0}, None)])
    assert (after["status"], after["zero"], after["earned"], after["possible"]) == ("scored", "2", "5", "6")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "\r=1", " =1", "\x00=1", "\u200b=1", "＝1"])  # noqa: RUF001
def test_no_text_can_be_a_formula(name):
    score = Score(
        assignment="q", student=name, status="scored", earned=-1.5, possible=3, checks=(check(name, earned=-1.5),)
    )
    header, line = csv.reader(io.StringIO(class_csv([score])))
    assert header[-1].startswith("'")
    assert line[0].startswith("'")
    assert (line[4], line[-1]) == ("-1.5", "-1.5")


def test_commas_quotes_and_line_breaks_stay_inside_their_field():
    (line,) = rows([Score(assignment="q", student='O"Neil, Ann\nx', status="scored", earned=1 / 3, possible=1_234_567)])
    assert (line["student"], line["earned"], line["possible"]) == ('O"Neil, Ann x', "0.333333", "1234567")


def test_a_class_without_scores_is_a_header():
    assert class_csv([]) == "student,submitted_at,days_late,status,earned,possible,penalty,grade\n"
