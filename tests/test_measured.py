"""What people see of measurements: tables at 80 columns, and charts that stand by themselves."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree as ET

import msgspec
import pytest
from rich.console import Console

from coursekit import profiles
from coursekit.cli.measured import report
from coursekit.cli.tables import figure_table, profile_table
from coursekit.errors import SpecError
from coursekit.figures import lasting, portion
from coursekit.measure.ratios import RATIOS, ratio
from coursekit.measuring import Measured, document, measure, subjects
from coursekit.records import Breakdown, Measurement, Part
from coursekit.report import axes, layers, marks
from coursekit.report.breakdown import bars
from coursekit.report.chart import Subject, chart
from coursekit.report.drawing import text_width

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '"><script>alert(1)</script>&\x1b[31m\u202e\x00'
MANY = profiles.names()


def figure(metric: str, value: float | str, unit: str = "", profile: str | None = None, **more) -> Measurement:
    return Measurement(metric=metric, value=value, unit=unit, engine="cycles", profile=profile, **more)


def latency(profile: str, value: float | str, **more) -> Measurement:
    return figure("latency_ms", value, "ms", profile, **{"band": 0.15, "status": "calibrated", **more})


def broken(profile: str, *nanoseconds: int, names: str = "model/layer_{}/Relu;model/bias_{}", **more) -> Breakdown:
    total = sum(nanoseconds)
    parts = tuple(
        Part(
            operator="CONV_2D",
            name=names.format(number, number),
            nanoseconds=each,
            per_mille=1000 * each // total,
            cycles=each // 10,
            calibrated=number != 1,
        )
        for number, each in enumerate(nanoseconds)
    )
    return Breakdown(profile=profile, engine="cycles", parts=parts, nanoseconds=total, band=0.15, **more)


def measured(*boards: str, against: str = "", **more) -> Measured:
    """A model that takes 1.5 ms more on each board, and twice that for its reference."""
    found = [figure("file_bytes", 50_000, "bytes"), figure("macs", 0, "MACs")]
    beside = [figure("file_bytes", 100_000, "bytes"), figure("macs", 0, "MACs")]
    for number, name in enumerate(boards):
        for figures, factor in ((found, 1), (beside, 2)):
            figures += [
                latency(name, factor * 1.5 * (number + 1)),
                figure("energy_uj", 123_456.7 * factor, "uJ", name, status="uncalibrated", note="Not graded."),
                figure("arena_bytes", 24_272 * factor, "bytes", name),
                figure("ram_free_bytes", -128_240, "bytes", name),
                figure("flash_free_bytes", 7_260_000, "bytes", name),
            ]
    pairs = [(one, two) for one, two in zip(found, beside, strict=True) if one.metric in RATIOS]
    known = {
        "breakdowns": tuple(broken(name, 1_000_000, 500_000) for name in boards),
        "reference": against,
        "reference_measurements": tuple(beside) if against else (),
        "comparisons": tuple(ratio(one, two, against) for one, two in pairs) if against else (),
    }
    return Measured(model="folder/small.tflite", profiles=boards, measurements=tuple(found), **{**known, **more})


def printed(*blocks: object, width: int = 80) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    for each in blocks:
        console.print(each)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def shown(found: Measured, *, every: bool = False, width: int = 80) -> list[str]:
    return printed(*report(found, every=every), width=width)


def row(lines: list[str], beginning: str) -> str:
    return next(line for line in lines if line.startswith(beginning))


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in ET.fromstring(svg).iter(f"{SVG}text")]


# --- Tables ----------------------------------------------------------------------------------------------------------


def test_one_board_shows_its_figures_and_what_each_operator_takes():
    lines = shown(measured("b-u585i"))
    assert row(lines, "latency_ms").split() == ["latency_ms", "1.5", "ms", "±15", "%", "cycles", "calibrated"]
    assert "1.500 ms on b-u585i, operator by operator" in lines
    assert row(lines, "1  CONV_2D").split() == [
        "1",
        "CONV_2D",
        "layer_0/Relu",
        "100,000",
        "1.00",
        "ms",
        "66.6",
        "%",
        "██████",
    ]
    assert row(lines, "2  CONV_2D").endswith("33.3 %  ███ ?")
    assert "? no published measurement supports most of this time" in lines


def test_several_boards_stand_in_one_table_without_their_operators():
    lines = shown(measured("b-u585i", "ek-ra6m4"))
    assert row(lines, "ek-ra6m4").split()[-4:] == ["123,457", "24.3", "-128", "7,260"]
    assert row(lines, "ek-ra6m4").split()[:5] == ["ek-ra6m4", "3", "±15", "%", "calibrated"]
    assert sum("file_bytes" in line for line in lines) == 1
    assert not any("operator by operator" in line for line in lines)
    assert sum("operator by operator" in line for line in shown(measured("b-u585i", "ek-ra6m4"), every=True)) == 2


def test_all_boards_take_a_line_each_at_eighty_columns():
    found = measured(*MANY, against="reference.tflite")
    worst = [msgspec.structs.replace(each, status="uncalibrated") for each in found.measurements]
    lines = shown(msgspec.structs.replace(found, measurements=tuple(worst)))
    for name in MANY:
        assert sum(line.startswith(f"{name} ") for line in lines) == 2
    assert max(map(len, lines)) <= 80


def test_a_table_has_only_columns_that_some_board_has():
    found = Measured(
        model="m", profiles=("a", "b"), measurements=(latency("a", 1.0), latency("b", "unknown", note="No."))
    )
    lines = shown(found)
    assert row(lines, "Profile").split() == ["Profile", "ms", "Band", "Status"]
    assert row(lines, "b ").split() == ["b", "unknown"]
    assert "• latency_ms on b: No." in lines


def test_figures_without_a_column_are_shown_too():
    rare = figure("sram_bytes", 1_000, "bytes", "b")
    lines = shown(Measured(model="m", profiles=("a", "b"), measurements=(latency("a", 1.0), rare)))
    assert row(lines, "b        sram_bytes").split() == ["b", "sram_bytes", "1,000", "bytes", "exact"]


def test_a_note_that_many_boards_share_is_said_once():
    found = [latency(name, 1.0, note="It spills.") for name in MANY]
    lines = shown(Measured(model="m", profiles=tuple(MANY), measurements=tuple(found)))
    assert [line for line in lines if "spills" in line] == [f"• latency_ms on {len(MANY)} boards: It spills."]


def test_a_hundred_notes_do_not_bury_the_table():
    found = [latency(f"board-{number}", 1.0, note=f"Note {number}.") for number in range(100)]
    names = tuple(each.profile or "" for each in found)
    lines = shown(Measured(model="m", profiles=names, measurements=tuple(found)))
    assert "• 92 more notes stand in the document that --json prints." in lines


def test_uncalibrated_boards_share_one_sentence():
    found = [latency(name, 1.0, status="uncalibrated", note=f"Not graded on {name}.") for name in ("a", "b")]
    guessed = [broken(name, 10, unsupported_per_mille=990, unsupported=("TANH",)) for name in ("a", "b")]
    lines = shown(Measured(model="m", profiles=("a", "b"), measurements=tuple(found), breakdowns=tuple(guessed)))
    said = " ".join(" ".join(lines).split())
    assert "no published measurement supports the work (TANH) of a 99.0 %, b 99.0 %." in said
    assert "Not graded on" not in said


def test_a_long_model_shows_its_dearest_operators_in_running_order_and_the_rest_as_one():
    spent = [1_000 + 17 * number % 1_000 for number in range(53)]
    found = measured("a", breakdowns=(broken("a", *spent),))
    numbers = [int(line.split()[0]) for line in shown(found) if " CONV_2D " in line]
    dearest = sorted(range(53), key=lambda number: -spent[number])[:12]
    assert numbers == sorted(number + 1 for number in dearest)
    rest = sum(spent) - sum(spent[number] for number in dearest)
    assert f"{100 * rest / sum(spent):.1f} %" in next(line for line in shown(found) if "… 41 more" in line)
    assert sum(" CONV_2D " in line for line in shown(found, every=True)) == 53


def test_one_operator_more_than_fits_is_shown_as_itself():
    assert [each.number for each in layers.lines(broken("a", *range(1, 14)))] == [
        str(number) for number in range(1, 14)
    ]
    assert layers.lines(broken("a", *range(1, 15)))[-1].operator == "… 2 more"


def test_a_refused_latency_says_why_in_place_of_a_breakdown():
    refused = Breakdown(profile="a", engine="cycles", parts=(), nanoseconds=0, refusal="It has a loop.")
    assert "• No breakdown on a: It has a loop." in shown(measured("a", breakdowns=(refused,)))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_long_name_of_a_layer_loses_its_beginning_and_no_line_wraps(width: int):
    long = broken("a", 5, 5, names="model/" + "deep/" * 30 + "last_{}/Conv")
    lines = [line for line in shown(measured("a", breakdowns=(long,)), width=width) if " CONV_2D " in line]
    assert len(lines) == 2
    assert all(len(line) <= width for line in lines)
    assert all(f"/last_{number} " in line or f"/last_{number}/Conv " in line for number, line in enumerate(lines))


def test_a_shorter_name_goes_without_its_operation_and_keeps_its_layer():
    assert layers.shorter("block_1_depthwise_relu/Relu6") == "block_1_depthwise_relu"
    assert layers.shorter("block_1/conv") == "block_1/conv"
    assert layers.shorter("Identity") == "Identity"


def test_layers_go_without_the_folder_that_all_share_and_the_names_fused_into_them():
    assert layers.layers(broken("a", 1, 1).parts) == ["layer_0/Relu", "layer_1/Relu"]
    parts = [Part(operator="ADD", name=name, nanoseconds=1, per_mille=1) for name in ("a/x", "b/x", "Identity")]
    assert layers.layers(parts) == ["a/x", "b/x", "Identity"]


def test_what_an_engine_says_of_the_bound_is_a_column():
    bound = broken("a", 10, 5)
    bound = msgspec.structs.replace(
        bound, parts=tuple(msgspec.structs.replace(each, bound="memory") for each in bound.parts)
    )
    assert row(shown(measured("a", breakdowns=(bound,))), "1  CONV_2D").endswith("memory")


def test_a_hostile_name_neither_colours_nor_marks_up_a_terminal():
    found = measured("a", breakdowns=(broken("a", 5, 5, names=f"{HOSTILE}[red]{{}}{{}}"),))
    text = "\n".join(shown(found, width=200))
    assert "\x1b[31m" not in text
    assert "\u202e" not in text
    assert "[red]" in text


def test_the_document_has_every_operator_whatever_is_shown():
    found = document(measured(*MANY, against="reference.tflite"))
    assert set(found) == {
        "model",
        "profiles",
        "measurements",
        "breakdowns",
        "reference",
        "reference_measurements",
        "comparisons",
    }
    assert len(msgspec.json.decode(msgspec.json.encode(found))["breakdowns"]) == len(MANY)


@pytest.mark.parametrize("width", [80, 120])
def test_the_list_of_boards_takes_a_line_each(width: int):
    boards = [profiles.load(name) for name in profiles.names()]
    bare = msgspec.structs.replace(boards[0], name="bare", clock_hz=None, ram_bytes=2**33, flash_bytes=None)
    lines = printed(profile_table([*boards, bare]), width=width)
    assert len(lines) == len(boards) + 3
    assert row(lines, "bare").split() == ["bare", "8", "GiB", "calibrated", "±15", "%"]


def test_a_board_shows_each_figure_above_its_source():
    text = "\n".join(printed(figure_table(profiles.load("nano33-ble-sense"))))
    assert re.search(r"clock_hz +64,000,000\n +the same data sheet", text)
    assert "None" not in text


# --- Ratios ----------------------------------------------------------------------------------------------------------


def test_a_ratio_has_the_band_of_two_errors_and_the_weaker_status():
    found = ratio(
        latency("a", 1.0, band=0.4), latency("a", 4.0, band=0.3, status="uncalibrated", note="Not graded."), "ref"
    )
    assert (found.metric, found.value, found.unit, found.band) == ("latency_ratio", 0.25, "", 0.5)
    assert found.status == "uncalibrated"
    assert found.note == "1 ms against 4 ms of 'ref'. Not graded."


@pytest.mark.parametrize(
    ("one", "two", "why"),
    [
        (latency("a", "unknown", note="It loops."), latency("a", 1.0), "latency_ms on a is unknown, and no ratio can"),
        (latency("a", 1.0), latency("a", "unknown", note="It loops."), "latency_ms on a is unknown for 'ref', and"),
        (latency("a", 0.0), latency("a", 1.0), "latency_ms on a is 0.0, and no ratio"),
        (latency("a", 1.0), latency("a", 0.0), "latency_ms on a is 0.0 for 'ref', and no ratio"),
        (figure("macs", 0, "MACs"), figure("macs", 0, "MACs"), "macs is 0 for 'ref', and no ratio"),
    ],
)
def test_a_ratio_of_what_is_not_there_is_unknown_and_says_why(one: Measurement, two: Measurement, why: str):
    found = ratio(one, two, "ref")
    assert found.value == "unknown"
    assert found.note.startswith(why)
    assert found.note.endswith("It loops." if "unknown" in why else "drawn from it.")


def test_no_work_by_some_work_is_a_ratio():
    assert ratio(figure("macs", 0, "MACs"), figure("macs", 8, "MACs"), "ref").value == 0


def test_a_reference_adds_ratios_by_file_and_by_board():
    one = shown(measured("b-u585i", against="reference.tflite"))
    assert row(one[one.index("Against reference.tflite") :], "latency_ms").split()[-3:] == ["0.5", "±21.21", "%"]
    several = shown(measured("b-u585i", "ek-ra6m4", against="reference.tflite"))
    below = several[several.index("Against reference.tflite") :]
    assert row(below, "file_bytes").split()[-1] == "0.5"
    assert row(below, "ek-ra6m4").split() == ["ek-ra6m4", "3", "6", "0.5", "0.5", "?", "0.5"]
    assert any("macs is 0 for 'reference.tflite'" in line for line in below)
    assert any(line.startswith("? rests on a figure that is uncalibrated") for line in below)


@pytest.mark.parametrize(
    ("points", "said"), [(2.5, "2.5 percentage points lost"), (-60.0, "60 percentage points gained")]
)
def test_a_drop_in_accuracy_below_zero_is_a_gain(points: float, said: str):
    drop = figure("accuracy_drop_points", points, "percentage points")
    assert row(shown(measured("a", against="ref", comparisons=(drop,))), "accuracy").endswith(said)


def test_a_timed_ratio_shows_its_interval():
    timed = figure("latency_ratio", 0.48, profile="host", interval=(0.451, 0.507), status="measured")
    found = measured("host", "a", against="ref.tflite", comparisons=(timed,))
    assert "0.451-0.507" in "\n".join(shown(found))
    alone = measured("host", against="ref.tflite", comparisons=(timed,))
    assert "0.48 (95 %: 0.451 to 0.507)" in "\n".join(shown(alone))


# --- Charts ----------------------------------------------------------------------------------------------------------


def subject(name: str = "small.tflite", size: int = 50_000, **latencies: float | str) -> Subject:
    found = tuple(latency(board, value) for board, value in latencies.items())
    return Subject(name=name, file_bytes=size, latencies=found)


PICTURES = {
    "one": lambda: chart([subject(a=1.5)]),
    "two": lambda: chart(subjects(measured(*MANY, against="reference.tflite"))),
    "far": lambda: chart([subject(a=1e-5, b=1e7), subject("big", 10**9, a=1e-3)]),
    "none": lambda: chart([subject(a="unknown")]),
    "empty file": lambda: chart([subject(size=0, a=1.0)]),
    "hostile": lambda: chart([subject(HOSTILE, **{HOSTILE: 1.0})]),
    "bars": lambda: bars([broken("a", 10, 5), broken("b", *range(1, 200))], "small.tflite"),
    "hostile bars": lambda: bars([broken(HOSTILE, 5, names=HOSTILE.replace("{", "") + "{}{}")], HOSTILE),
    "no bars": lambda: bars([], "small.tflite"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_one_svg_that_says_what_it_shows_and_loads_nothing(name: str):
    svg = PICTURES[name]()
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "title desc"
    assert root.find(f"{SVG}title").text
    assert root.find(f"{SVG}desc").text
    assert not re.search(r"<(script|image|a|foreignObject|use|style)\b|href|\bon\w+=|=\"-?(nan|inf)", svg)
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
        "svg", "title", "desc", "defs", "pattern", "rect", "path", "text", "tspan", "g",
    }  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_the_same_records_draw_the_same_bytes(name: str):
    assert PICTURES[name]() == PICTURES[name]()


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_uses_no_colour_but_dark_light_and_grey(name: str):
    for colour in re.findall(r"#([0-9a-f]{3,6})\b", PICTURES[name]()):
        parts = [int(each, 16) * 17 for each in colour] if len(colour) == 3 else list(bytes.fromhex(colour))
        assert max(parts) - min(parts) <= 42


def test_a_chart_names_every_board_and_says_what_is_filled():
    words = texts(chart([subject(a=1.5, b=20.0), subject("big.tflite", 200_000, a=3.0, b="unknown")]))
    for label in ("a  1.5 ms", "b  20 ms", "a  3 ms", "1 without a latency: b (reference)."):
        assert label in words
    assert any("big.tflite" in each and "reference · 200 kB" in each for each in words)


def test_a_chart_has_accuracy_upwards_where_both_models_have_one():
    right = figure("accuracy", 0.9, interval=(0.85, 0.94))
    accurate = msgspec.structs.replace(subject(a=1.0), accuracy=right)
    assert "Accuracy in %, grey: 95 % interval" in texts(chart([accurate]))
    assert "Size of the file" in texts(chart([accurate, subject("other", a=2.0)]))


def test_an_uncalibrated_latency_is_marked_in_a_chart():
    unsure = Subject(name="m", file_bytes=1, latencies=(latency("a", 2.0, status="uncalibrated"),))
    words = texts(chart([unsure]))
    assert "a  2 ms ?" in words
    assert "? uncalibrated: not graded." in words


def boxes(svg: str) -> list[tuple[float, float, float]]:
    """Give where each label of a mark begins, ends and stands, as the chart itself reckons."""
    labels = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" xml:space="preserve">([^<]* ms)</text>', svg)
    found = [(float(x), float(x) + text_width(text, 11), float(y)) for x, y, text in labels]
    return sorted(set(found))


@pytest.mark.parametrize("spread", [0.0, 0.01, 1.3])
@pytest.mark.parametrize("count", [1, 3, 19])
def test_no_label_of_a_chart_covers_another_or_leaves_the_page(spread: float, count: int):
    values = {name: 10.0 + number**spread for number, name in enumerate(MANY[:count])}
    found = boxes(chart([subject(**values), subject("big", 60_000, **values)]))
    assert len(found) >= count
    assert all(end <= 790 for _, end, _ in found)
    for number, (left, right, y) in enumerate(found):
        for other_left, other_right, other_y in found[number + 1 :]:
            assert abs(y - other_y) >= 11 or right <= other_left or other_right <= left


def test_a_label_stands_further_out_than_all_whose_leaders_it_passes_over():
    places, widths = [10.0, 12.0, 50.0, 300.0], [100.0, 20.0, 60.0, 60.0]
    assert marks.tiers(places, widths) == [2, 1, 1, 1]
    assert marks.tiers([5.0, 5.0, 5.0], [10.0] * 3) == [3, 2, 1]
    assert marks.tiers([], []) == []


def area(path: str) -> float:
    points = [tuple(map(float, each.split())) for each in path.strip("Mz").split("L")]
    pairs = zip(points, points[1:] + points[:1], strict=True)
    return abs(sum(x * v - u * y for (x, y), (u, v) in pairs)) / 2


@pytest.mark.parametrize("shape", [each for each in marks.SHAPES if each != "circle"])
def test_every_shape_has_the_area_of_its_circle(shape: str):
    assert area(marks.outline(shape, 10.0)) == pytest.approx(314.16, rel=0.01)


def test_a_marker_s_area_is_the_size_of_the_file():
    svg = chart([subject("m", 10_000, a=1.0), subject("n", 40_000, a=2.0)])
    small, large = sorted(set(map(float, re.findall(r"M-([\d.]+) 0a", svg))))
    assert large == pytest.approx(2 * small, rel=0.03)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 1e-6), (91.2, 91.3), (0.0, 3e9), (3.0, 4_000.0)])
@pytest.mark.parametrize("logarithmic", [False, True])
def test_an_axis_has_a_few_round_numbers_in_their_order(low: float, high: float, logarithmic: bool):
    axis = axes.Axis(low=low or 1e-12, high=high, start=0, end=100, logarithmic=logarithmic)
    found = axis.ticks(8)
    assert len(found) <= 8
    assert found == sorted(set(found))
    assert all(low <= each <= high * 1.000001 for each in found)
    assert found or logarithmic
    assert [axis.place(each) for each in found] == sorted(axis.place(each) for each in found)


def test_bars_are_as_long_as_their_share_and_hatched_where_nothing_supports_them():
    svg = bars([broken("a", 1_000, 500, 250)], "small.tflite")
    drawn = re.findall(r'<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)" height="12" fill="([^"]+)"', svg)[:3]
    longest, half, quarter = (float(width) for width, _ in drawn)
    assert (half / longest, quarter / longest) == (pytest.approx(0.5, abs=0.01), pytest.approx(0.25, abs=0.01))
    assert [fill for _, fill in drawn] == ["#33455c", "url(#hatched)", "#33455c"]
    assert "0.50 µs" not in svg
    assert "500 ns  28.5 %  ?" in texts(svg)


def test_bars_of_a_long_model_are_the_dearest_and_one_for_the_rest():
    words = texts(bars([broken("a", *range(1, 201))], "small.tflite"))
    assert words.count("CONV_2D") == 24
    assert "… 176 more" in words


# --- Words and numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1.00 µs"),
        (9_996, "10.0 µs"),
        (999_499, "999 µs"),
        (999_600, "1.00 ms"),
        (12_345_678, "12.3 ms"),
        (8_787_000_000, "8.79 s"),
        (12_345_678_000_000, "12,300 s"),
    ],
)
def test_a_short_time_has_three_digits_and_the_unit_that_suits_it(nanoseconds: int, text: str):
    assert lasting(nanoseconds) == text


def test_a_share_that_rounds_to_nothing_is_still_something():
    assert (portion(0), portion(0, some=False), portion(1), portion(1000)) == ("<0.1 %", "0.0 %", "0.1 %", "100.0 %")


def test_a_profile_that_is_named_twice_is_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(SpecError, match="'b-u585i' is named twice"):
        measure(tmp_path / "none.tflite", ["b-u585i", "ek-ra6m4", "b-u585i"])
