"""Profiles: every figure has its source, and a wrong file says what is wrong with it."""

from __future__ import annotations

import hashlib
import re
from importlib import resources
from pathlib import Path

import pytest

from coursekit import profiles
from coursekit.errors import SpecError

PACKAGED = profiles.names()


def text_of(name: str) -> str:
    return (resources.files("coursekit.profiles") / f"{name}.yaml").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(text_of("nucleo-l4r5zi").replace("name: nucleo-l4r5zi", "name: mine"))
    return tmp_path


def rewrite(folder: Path, old: str, new: str) -> None:
    file = folder / "mine.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_the_package_has_its_nineteen_boards():
    assert set(PACKAGED) == {
        "b-u585i",
        "coral-edge-tpu",
        "ek-ra6m4",
        "esp32-s3",
        "ethos-u55-128",
        "ethos-u55-256",
        "h200",
        "host",
        "jetson-orin-nano",
        "nano33-ble-sense",
        "nrf5340-dk",
        "nucleo-l4r5zi",
        "nucleo-l4r5zi-xcubeai",
        "nucleo-u575zi",
        "pixel-4",
        "raspberry-pi-4",
        "raspberry-pi-5",
        "stm32h747-disco-xcubeai-7.3",
        "stm32h747-disco-xcubeai-8.1",
    }


def test_sizes_are_in_base_units():
    nano, nucleo = profiles.load("nano33-ble-sense"), profiles.load("nucleo-l4r5zi")
    assert (nano.clock_hz, nano.flash_bytes, nano.ram_bytes) == (64_000_000, 2**20, 2**18)
    assert (nucleo.clock_hz, nucleo.flash_bytes, nucleo.ram_bytes) == (120_000_000, 2**21, 640 * 2**10)
    assert nano.status == "scaled"


@pytest.mark.parametrize("name", PACKAGED)
def test_every_figure_has_a_source_with_a_date(name: str):
    profile = profiles.load(name)
    facts = set(profiles.Profile.__struct_fields__) - {"name", "title", "sources"}
    facts -= {field for field in facts if getattr(profile, field) in (None, "")}
    assert set(profile.sources) == facts
    assert all(re.search(r"\b20\d\d-\d\d-\d\d\b", source) for source in profile.sources.values())


@pytest.mark.parametrize("field", ["clock_hz", "ram_bytes", "reserve", "engines"])
def test_a_figure_without_a_source_is_refused(folder: Path, field: str):
    text = (folder / "mine.yaml").read_text()
    before, sources = text.split("sources:\n")
    kept = re.sub(rf"  {field}: .*\n(    .*\n)*", "", sources)
    (folder / "mine.yaml").write_text(f"{before}sources:\n{kept}")
    with pytest.raises(SpecError, match=f"{field} has no source"):
        profiles.load("mine", [folder])


def test_an_unknown_field_is_named_with_its_near_match(folder: Path):
    rewrite(folder, "clock_hz:", "clok_hz:")
    with pytest.raises(SpecError) as caught:
        profiles.load("mine", [folder])
    assert str(caught.value) == "mine.yaml: there is no field called 'clok_hz'."
    assert caught.value.fix == "did you mean 'clock_hz'?"


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("clock_hz: 120_000_000", "clock_hz: 0", "clock_hz must be more than zero."),
        ("clock_hz: 120_000_000", "clock_hz: 120 MHz", "clock_hz must be a whole number, not text."),
        ("ram_bytes: 65_536", "ram_bytes: 655_360", "reserve.ram_bytes must be between zero and ram_bytes."),
        ("flash_bytes: 262_144", "flash_bytes: -1", "reserve.flash_bytes must be between zero and flash_bytes."),
        ("status: calibrated", "status: guessed", "status must be 'exact', 'measured', 'calibrated', 'scaled',"),
        ("    point_macs: ", "    point_macs: -", "cost.milli_cycles has no price for point_macs."),
        ("  band: 0.", "  band: 3.", "cost.band must be between zero and one."),
        ("active_uw: ", "active_uw: -", "power.active_uw must be more than zero."),
        ("name: mine", "name: other", "the name is 'other', and the file's is not."),
        ("  core: the same", "  cor: the same", "sources: there is no field 'cor'."),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(folder: Path, old: str, new: str, what: str):
    rewrite(folder, old, new)
    with pytest.raises(SpecError) as caught:
        profiles.load("mine", [folder])
    assert caught.value.what.startswith(what)


def test_a_course_adds_profiles_of_its_own(folder: Path):
    assert profiles.names([folder]) == sorted(["mine", *PACKAGED])
    assert profiles.load("mine", [folder]).ram_bytes == 655_360


def test_a_folder_that_is_not_there_adds_none(tmp_path: Path):
    assert profiles.names([tmp_path / "profiles"]) == PACKAGED


def test_two_profiles_of_one_name_are_refused(tmp_path: Path):
    (tmp_path / "nucleo-l4r5zi.yaml").write_text(text_of("nucleo-l4r5zi"))
    with pytest.raises(SpecError, match="two profiles called 'nucleo-l4r5zi'"):
        profiles.names([tmp_path])


def test_an_unknown_profile_is_named_with_its_near_match():
    with pytest.raises(SpecError, match="there is no profile called 'nano33-ble-sens'") as caught:
        profiles.load("nano33-ble-sens")
    assert caught.value.fix == "did you mean 'nano33-ble-sense'?"


def test_a_name_is_never_a_path():
    with pytest.raises(SpecError, match="there is no profile called"):
        profiles.load("../profiles/nano33-ble-sense")


def test_the_version_of_a_profile_is_the_hash_of_its_file(folder: Path):
    data = (folder / "mine.yaml").read_bytes()
    assert profiles.sha256("mine", [folder]) == hashlib.sha256(data).hexdigest()
