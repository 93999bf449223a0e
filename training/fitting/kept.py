"""What a run was started with, kept in its folder: who resumes it must mean the same run, and who exports it needs its crops."""

from __future__ import annotations

import json
from pathlib import Path

FILE = "settings.json"


def keep(folder: Path, settings: dict, resumed: bool) -> None:
    """Write a run's settings (JSON's types, or tuples) into its folder; raises ValueError where the run that is resumed had others."""
    settings = json.loads(json.dumps(settings))
    if resumed and (before := read(folder)) != settings:
        changed = [f"{key} {before.get(key)} instead of {settings.get(key)}" for key in before | settings if before.get(key) != settings.get(key)]
        raise ValueError(f"the run in {folder} was started with {', '.join(changed)}: give the same again, or name another folder")
    (folder / FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> dict:
    """The settings of a run; raises ValueError where its folder has none."""
    try:
        return json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} has no readable {FILE}: name the folder of a run of `python -m training train`") from error
