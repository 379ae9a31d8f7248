"""The reference boards that figures are stated for: board, clock, runtime and memory, each figure with its source.

A profile is a YAML file in this package or in a course's own folder. Nothing inherits from anything: what a profile
says is all in one file, and its hash is the version that a score names.
"""

from __future__ import annotations

import configparser
import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import get_args

from coursekit.cost import Cost, Power, Unit
from coursekit.decoding import decode_yaml, near
from coursekit.errors import SpecError
from coursekit.profiles.facts import RUNTIMES, EdgeTPU, Reserve, Roofline, Timing, Vela, address
from coursekit.records import Record, Status

__all__ = ["EdgeTPU", "Profile", "Reserve", "Roofline", "Timing", "Vela"]
__all__ += ["load", "names", "path", "sha256", "vela_systems"]

_NEED_SOURCES = ("board", "core", "runtime", "runtime_version", "memory", "dtypes", "engines", "status")
"""Every fact that all boards have and a reader may ask the origin of: all fields but the name and the title."""

_SIZES = ("clock_hz", "flash_bytes", "ram_bytes")
_SECTIONS = ("cost", "power", "roofline", "vela", "edgetpu", "timing")
_MAY_HAVE = (*_SIZES, "reserve", *_SECTIONS, "device")
"""Facts that not every board has; a profile that states one says where it is from."""


class Profile(Record, frozen=True, kw_only=True):
    """One board with one runtime in one memory placement: what a figure must name to mean anything."""

    name: str
    title: str
    board: str
    core: str
    clock_hz: int | None = None
    flash_bytes: int | None = None
    """Memory that keeps the model; None where it is a disk or a card."""
    ram_bytes: int | None = None
    reserve: Reserve | None = None
    """Stated where `flash_bytes` and `ram_bytes` are, on microcontrollers."""
    runtime: str
    runtime_version: str
    memory: str
    """Where weights and activations lie."""
    dtypes: tuple[str, ...]
    """The types that the runtime has kernels for."""
    engines: dict[str, str]
    """Metric -> engine, for the metrics that depend on the board or its runtime."""
    status: Status
    """How times are known on this board. Memory is counted, and exact whatever stands here."""
    cost: Cost | None = None
    """What work costs here, for the engine `cycles`."""
    power: Power | None = None
    """What the board draws while it computes."""
    roofline: Roofline | None = None
    """The rates that bound it, for the engine `roofline`."""
    vela: Vela | None = None
    """The accelerator that Vela compiles for."""
    edgetpu: EdgeTPU | None = None
    """What an Edge TPU takes, for the engine `edgetpu`."""
    timing: Timing | None = None
    """How models are timed, for the engines `host` and `board`."""
    device: str = ""
    """A board that is there, as ssh://USER@HOST:PORT; empty for one that need not be."""
    sources: dict[str, str]
    """Field -> where it was read, and when."""

    @property
    def band(self) -> float | None:
        """Half-width of the error band of a time on this board, as a share; None where no time is stated."""
        return next((each.band for each in (self.cost, self.roofline, self.vela) if each), None)


def names(folders: Sequence[Path] = ()) -> list[str]:
    """Give the names of all profiles, in order: those of the package and those in these folders."""
    return sorted(_files(folders))


def load(name: str, folders: Sequence[Path] = ()) -> Profile:
    """Give one profile. A name that does not exist, or a file with something missing, is a `SpecError`."""
    file = _find(name, folders)
    profile = decode_yaml(file.read_bytes(), Profile, file.name)
    _check(profile, file.name)
    return profile


def sha256(name: str, folders: Sequence[Path] = ()) -> str:
    """Give the hash of the profile's file, which stands in a score for the profile's version.

    Where the profile names systems of `ethos-u.ini`, those are behind the file in what is hashed.
    """
    data = _find(name, folders).read_bytes()
    return hashlib.sha256(data + vela_systems() if load(name, folders).vela else data).hexdigest()


def path(name: str, folders: Sequence[Path] = ()) -> Path:
    """Give the path of a profile's file, for those who change it. Raises `SpecError` if it lies in an archive."""
    file = _find(name, folders)
    if not isinstance(file, Path):
        raise SpecError(f"profile '{name}' lies in an archive and cannot be changed.")
    return file


def vela_systems() -> bytes:
    """Give `ethos-u.ini`: the systems and placements of memory that profiles with `vela` name."""
    return (resources.files(__name__) / "ethos-u.ini").read_bytes()


def _files(folders: Sequence[Path]) -> dict[str, Traversable]:
    """Find every profile; two of one name are an error, because a score could not say which it meant."""
    found: dict[str, Traversable] = {}
    for folder in (resources.files(__name__), *folders):
        for file in folder.iterdir() if folder.is_dir() else ():
            name, dot, ending = file.name.rpartition(".")
            if not dot or ending != "yaml":
                continue
            if name in found:
                raise SpecError(f"there are two profiles called '{name}'.", where=str(file), fix="rename this one.")
            found[name] = file
    return found


def _find(name: str, folders: Sequence[Path]) -> Traversable:
    files = _files(folders)
    if name not in files:
        raise SpecError(f"there is no profile called '{name}'.", fix=near(name, sorted(files)))
    return files[name]


def _check(profile: Profile, where: str) -> None:
    """Refuse a profile whose figures cannot be meant or have no source."""
    _check_sizes(profile, where)
    _check_cost(profile, where)
    _check_vela(profile, where)
    _check_roofline(profile, where)
    _check_bands(profile, where)
    _check_device(profile, where)
    _check_host(profile, where)
    if f"{profile.name}.yaml" != where:
        raise SpecError(f"the name is '{profile.name}', and the file's is not.", where=where, fix="make them equal.")
    stated = [*_NEED_SOURCES, *(field for field in _MAY_HAVE if getattr(profile, field) not in (None, ""))]
    for field in profile.sources:
        if field not in stated:
            raise SpecError(f"sources: there is no field '{field}'.", where=where, fix=near(field, stated))
    for field in stated:
        if not profile.sources.get(field, "").strip():
            fix = f"say in sources.{field} where it was read, and when."
            raise SpecError(f"{field} has no source.", where=where, fix=fix)


def _check_sizes(profile: Profile, where: str) -> None:
    """Refuse sizes that no board has, and a reserve that leaves nothing."""
    for field in _SIZES:
        figure = getattr(profile, field)
        if figure is not None and figure <= 0:
            raise SpecError(f"{field} must be more than zero.", where=where)
    if profile.cost and profile.clock_hz is None:
        raise SpecError("cost needs clock_hz, since prices are in cycles.", where=where)
    if profile.reserve is None:
        return
    for field in ("flash_bytes", "ram_bytes"):
        whole, kept = getattr(profile, field), getattr(profile.reserve, field)
        if whole is None or not 0 <= kept < whole:
            raise SpecError(f"reserve.{field} must be between zero and {field}.", where=where)


def _check_cost(profile: Profile, where: str) -> None:
    """Refuse prices by which some work would be free, and power that is none."""
    if profile.cost:
        missing = [unit for unit in get_args(Unit) if profile.cost.milli_cycles.get(unit, 0) <= 0]
        if missing:
            fix = "give every unit a price above zero; `coursekit profiles fit` does."
            raise SpecError(f"cost.milli_cycles has no price for {', '.join(missing)}.", where=where, fix=fix)
    if profile.power and profile.power.active_uw <= 0:
        raise SpecError("power.active_uw must be more than zero.", where=where)


def _check_vela(profile: Profile, where: str) -> None:
    """Refuse a system or a placement of memory that does not exist, and another clock than the system has."""
    if profile.vela is None:
        return
    systems = configparser.ConfigParser()
    systems.read_string(vela_systems().decode())
    system, placement = f"System_Config.{profile.vela.system_config}", f"Memory_Mode.{profile.vela.memory_mode}"
    for field, name in (("system_config", system), ("memory_mode", placement)):
        if not systems.has_section(name):
            fix = near(name, systems.sections())
            raise SpecError(f"vela.{field}: ethos-u.ini has no section '{name}'.", where=where, fix=fix)
    if profile.clock_hz != systems.getfloat(system, "core_clock"):
        raise SpecError(f"clock_hz is not the core_clock of {system} in ethos-u.ini.", where=where)


def _check_roofline(profile: Profile, where: str) -> None:
    """Refuse rates by which some work would be free or faster than the data sheet has it, and an empty accelerator."""
    if profile.edgetpu and (profile.edgetpu.cache_bytes <= 0 or not profile.edgetpu.operators):
        raise SpecError("edgetpu needs cache_bytes above zero and operators.", where=where)
    stated = profile.roofline
    if stated is None:
        return
    if not stated.macs_per_second or min(stated.macs_per_second.values()) <= 0 or stated.bytes_per_second <= 0:
        raise SpecError("roofline.macs_per_second and bytes_per_second must be more than zero.", where=where)
    if set(stated.efficiency_per_mille) != set(stated.macs_per_second):
        raise SpecError("roofline.efficiency_per_mille must name the types of macs_per_second.", where=where)
    for share in (*stated.efficiency_per_mille.values(), stated.depthwise_per_mille, stated.traffic_per_mille):
        if not 0 < share <= 1000:
            raise SpecError("roofline: shares are thousandths, from 1 to 1000.", where=where)
    if stated.operator_ns < 0 or stated.start_ns < 0:
        raise SpecError("roofline.operator_ns and start_ns cannot be less than zero.", where=where)


def _check_bands(profile: Profile, where: str) -> None:
    """Refuse bands that say nothing."""
    for field in ("cost", "power", "roofline", "vela"):
        stated = getattr(profile, field)
        if stated and not 0 < stated.band < 1:
            raise SpecError(f"{field}.band must be between zero and one.", where=where)


def _check_device(profile: Profile, where: str) -> None:
    """Refuse a board that cannot be asked, and an address that ssh would take for something else."""
    by_board = "board" in profile.engines.values()
    if not profile.device and not by_board:
        return
    if not by_board:
        raise SpecError("device is stated, and no engine asks it.", where=where, fix="set engines.latency_ms to board.")
    if not profile.device or profile.timing is None:
        raise SpecError("the engine 'board' needs device and timing.", where=where)
    try:
        address(profile.device)
    except SpecError as error:
        raise SpecError(error.what, where=where, fix=error.fix) from error
    _check_timing(profile.timing, where)
    package, _, version = profile.runtime_version.partition(" ")
    if package not in RUNTIMES or not re.fullmatch(r"[0-9A-Za-z.+!-]+", version):
        fix = (
            f"write the package and its version, as in 'ai-edge-litert 2.1.2'; the package is {' or '.join(RUNTIMES)}."
        )
        raise SpecError("runtime_version does not name the package on the board.", where=where, fix=fix)


def _check_host(profile: Profile, where: str) -> None:
    """Refuse a profile on which models are timed in pairs, and that does not say how."""
    if "host" not in profile.engines.values():
        return
    if profile.timing is None:
        fix = "say how long, how often and how closely, as the profile 'host' does."
        raise SpecError("the engine 'host' needs a section 'timing'.", where=where, fix=fix)
    _check_timing(profile.timing, where)


def _check_timing(timing: Timing, where: str) -> None:
    """Refuse windows that are none, and a Python that a shell would take for an option."""
    for field, least, most in (("seconds", 0.01, 600), ("repeats", 3, 100), ("spread", 0, 1), ("threads", 1, 256)):
        if not least <= getattr(timing, field) <= most:
            raise SpecError(f"timing.{field} must be between {least} and {most}.", where=where)
    if not re.fullmatch(r"[\w./][\w./+-]*", timing.python, re.ASCII):
        raise SpecError("timing.python must be the plain path of a program.", where=where)
