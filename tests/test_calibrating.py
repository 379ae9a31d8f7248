"""Calibration: what the profiles say of their error is what their measurements give."""

from __future__ import annotations

import io
import re
from importlib import resources
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from coursekit import calibrating, profiles
from coursekit.cli import look
from coursekit.cli.tables import verdict_table
from coursekit.errors import SpecError
from coursekit.profiles import calibration
from coursekit.profiles.calibration import fitting

CALIBRATED = [name for name in profiles.names() if calibration.rows(name)]


def text_of(name: str) -> str:
    return (resources.files("coursekit.profiles") / f"{name}.yaml").read_text()


@pytest.fixture(scope="module")
def verdicts() -> dict[str, calibrating.Verdict]:
    return {each.profile: each for each in calibrating.verify()}


def mine(folder: Path, *changes: tuple[str, str], of: str = "ek-ra6m4") -> profiles.Profile:
    text = text_of(of)
    for old, new in changes:
        assert re.search(old, text)
        text = re.sub(old, new, text, count=1)
    (folder / f"{of}.yaml").write_text(text)
    return profiles.decode_yaml((folder / f"{of}.yaml").read_bytes(), profiles.Profile, of)


def test_every_published_band_holds(verdicts: dict[str, calibrating.Verdict]):
    assert {name: each.problems for name, each in verdicts.items() if not each.holds} == {}


def test_at_least_four_in_five_left_out_models_lie_in_the_band(verdicts: dict[str, calibrating.Verdict]):
    assert {name for name, each in verdicts.items() if each.inside is not None and each.inside < 0.8} == set()


def test_the_mean_error_on_unseen_families_is_about_ten_per_cent(verdicts: dict[str, calibrating.Verdict]):
    errors = {name: verdicts[name].family_error for name in CALIBRATED if verdicts[name].family_error is not None}
    assert {name for name, error in errors.items() if error > 0.10} <= {"nucleo-l4r5zi"}
    assert max(errors.values()) < 0.15


def test_a_band_narrower_than_the_error_is_found(tmp_path: Path):
    board = mine(tmp_path, (r"\n  band: \S+", r"\n  band: 0.02"))
    verdict = calibrating._verdict(board, {})
    assert any("its band is 2.0% and its error on left-out families is" in each for each in verdict.problems)


def test_a_price_that_the_measurements_do_not_give_is_found(tmp_path: Path):
    board = mine(tmp_path, (r"kernel_macs: \S+", "kernel_macs: 1"))
    assert any("its prices are not those" in each for each in calibrating._verdict(board, {}).problems)


def test_an_error_that_is_understated_is_found(tmp_path: Path):
    board = mine(tmp_path, (r"family_error: \S+", "family_error: 0.01"))
    assert any("it states a family_error of 1.0%" in each for each in calibrating._verdict(board, {}).problems)


def test_prices_of_another_board_must_be_those_of_that_board(tmp_path: Path):
    board = mine(
        tmp_path, (r"kernel_macs: \S+", "kernel_macs: 1"), (r"\n  band: \S+", r"\n  band: 0.02"), of="nrf5340-dk"
    )
    verdict = calibrating._verdict(board, {"ek-ra6m4": profiles.load("ek-ra6m4")})
    assert verdict.problems == (
        "its prices are not those of ek-ra6m4",
        "its band is narrower than that of ek-ra6m4, which was measured",
    )


def test_a_refit_of_what_is_published_changes_nothing():
    for name in CALIBRATED:
        assert calibrating.fit(name).moved == {}


def test_a_refit_is_written_into_the_profile_and_nowhere_else(tmp_path: Path):
    board = mine(tmp_path, (r"kernel_macs: \S+", "kernel_macs: 1"))
    rows = calibration.rows(board.name)
    after, power = calibrating.refit(board.cost, board.power, rows)
    change = calibrating.Change(
        profile=board.name, before=board.cost, after=after, power_before=board.power, power_after=power
    )
    assert list(change.moved) == ["kernel_macs"]
    calibrating.write(change, tmp_path / "ek-ra6m4.yaml")
    assert (tmp_path / "ek-ra6m4.yaml").read_text() == text_of("ek-ra6m4")


def test_a_board_without_measurements_cannot_be_fitted():
    with pytest.raises(SpecError, match="its prices are those of ek-ra6m4"):
        calibrating.fit("nrf5340-dk")


def test_every_measurement_names_its_source_and_a_model_that_is_counted():
    for name in CALIBRATED:
        for row in calibration.rows(name):
            assert re.search(r"@[0-9a-f]{8,}.*20\d\d-\d\d-\d\d", row.source)
            assert re.fullmatch(r"[0-9a-f]{64}", row.model.sha256)
            assert row.milliseconds > 0


def test_work_that_no_measurement_exercises_keeps_the_prior_s_price_on_the_board_s_scale():
    rows = calibration.rows("ek-ra6m4")
    prices = fitting.fit(rows, "cmsis-nn", 0)
    assert prices["other_macs"] / prices["resized_values"] == pytest.approx(10 / 8, rel=0.02)


def test_the_error_of_an_unseen_board_of_the_same_core_and_runtime_is_below_fifteen_per_cent():
    rows = calibration.rows("stm32h747-disco-xcubeai-8.1")
    seen = [row for row in rows if "H747" in row.board]
    unseen = [row for row in rows if "F769" in row.board]
    prices = fitting.fit(seen, "x-cube-ai", 524_288)
    for row in unseen:
        predicted = sum(count * prices[unit] for unit, count in row.model.work.items() if unit != "traffic_bytes")
        assert predicted / 1000 / row.cycles == pytest.approx(1, abs=0.15)


def test_the_page_on_measuring_prints_the_errors_as_the_command_does(verdicts: dict[str, calibrating.Verdict]):
    page = (resources.files("coursekit.measure") / "README.md").read_text()
    console = Console(width=200, file=io.StringIO())
    console.print(verdict_table(list(verdicts.values())))
    printed = [line.strip() for line in console.file.getvalue().splitlines() if line.strip()]
    assert [line for line in printed if line not in page] == []


def test_verify_leaves_with_zero_and_one_document():
    said = CliRunner().invoke(look.profiles, ["verify", "--json"])
    document = msgspec.json.decode(said.stdout)
    assert (said.exit_code, document["schema"], document["well"]) == (0, "coursekit/verdicts/v1", True)
    assert {each["profile"] for each in document["verdicts"]} >= set(CALIBRATED)


def test_fit_shows_the_change_and_writes_nothing_unless_told():
    before = text_of("ek-ra6m4")
    said = CliRunner().invoke(look.profiles, ["fit", "ek-ra6m4"])
    assert said.exit_code == 0
    assert "ek-ra6m4: 0 prices change (not written)" in " ".join(said.stdout.split())
    assert text_of("ek-ra6m4") == before


def test_a_verdict_is_a_document(verdicts: dict[str, calibrating.Verdict]):
    assert msgspec.json.decode(msgspec.json.encode(verdicts["ek-ra6m4"]))["families"] == 4
