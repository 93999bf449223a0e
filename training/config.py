"""A network's configuration file: its task, its crops and losses, its schedule."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from .fitting import FitConfig
from .tasks.corners import CornerConfig, CornerTask
from .tasks.locate import LocateConfig, LocateTask

#: The networks' own files, used unless another is named.
FOLDER = Path(__file__).parent / "configs"
NETWORKS = ("locate", "corners", "refine")

_SECTIONS = ("network", "fit")

#: What TOML gives for a setting of each type, and what to call it.
_TYPES = {"int": (int, "a whole number"), "float": ((int, float), "a number"), "str": (str, "a text"), "tuple[str, ...]": (list, "a list of texts")}

#: Settings that must be greater than nothing, and the one that may be less; all other numbers may be nothing, not less.
_POSITIVE = ("batch", "crop_size", "crop_span", "sigma", "learning_rate", "steps", "validate_every", "validation_draws")
_SIGNED = ("frozen_stages",)
_KINDS = {"locate": (LocateTask, LocateConfig), "corners": (CornerTask, CornerConfig)}


@dataclass(frozen=True)
class Config:
    """``task(network, films, ...)`` builds the task; ``schedule`` says how it is fitted."""

    task: type[CornerTask] | type[LocateTask]
    network: CornerConfig | LocateConfig
    schedule: FitConfig


def load(network: str, path: Path | None = None, changes: Sequence[str] = ()) -> Config:
    """The configuration of a network, with some values changed ("fit.steps=300"); raises ValueError,
    naming the key, for one that does not exist."""
    path = path or FOLDER / f"{network}.toml"
    with path.open("rb") as stream:
        told = tomllib.load(stream)
    for change in changes:
        section, _, setting = change.partition(".")
        if section not in _SECTIONS or "=" not in setting:
            raise ValueError(f"{change!r} is not SECTION.KEY=VALUE with SECTION one of {', '.join(_SECTIONS)}")
        try:
            told.setdefault(section, {}).update(tomllib.loads(setting))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{change!r}: the value is not TOML ({error})") from None
    try:
        task, network_config = _KINDS[told["task"]]
    except KeyError:
        raise ValueError(f"{path}: task must be one of {', '.join(_KINDS)}") from None
    return Config(task, _filled(network_config, told.get("network", {}), path), _filled(FitConfig, told.get("fit", {}), path))


def _filled(kind: type, told: dict, path: Path):
    known = {field.name: field.type for field in fields(kind)}
    if unknown := sorted(set(told) - known.keys()):
        raise ValueError(f"{path}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    for key, value in told.items():
        accepted, wanted = _TYPES[known[key]]
        if not isinstance(value, accepted) or isinstance(value, bool):
            raise ValueError(f"{path}: {key} must be {wanted}, not {value!r}")
        if isinstance(value, (int, float)) and not (value > 0 or value == 0 and key not in _POSITIVE or key in _SIGNED):
            raise ValueError(f"{path}: {key} must be {'more' if key in _POSITIVE else 'no less'} than 0, not {value!r}")
    try:
        return kind(**told)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
