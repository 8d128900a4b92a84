"""Records of benchmarks: one method on one case, its time beside its error; and the machine that measured them."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from hbm_fast import _files
from hbm_fast._config import show_config


@dataclass(frozen=True)
class Record:
    """One method on one case."""

    case: str
    method: str
    seconds: float | None = None  # of one run: the median over the rounds
    ratio: float | None = None  # time over that of the reference method for the same data; the median over the rounds
    error: float | None = None  # distance from the reference answer, in the units of the case
    ess: float | None = None  # effective draws, where the method samples
    note: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)  # other measurements, by name


@dataclass(frozen=True)
class Results:
    """The records of one suite, and where they were measured."""

    title: str
    records: list[Record]
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""
    notes: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """As JSON."""
        _files.write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> "Results":
        """What `write` wrote."""
        content = json.loads(path.read_bytes())
        return cls(**{**content, "records": [Record(**record) for record in content["records"]]})


def measured_here(title: str, records: list[Record], packages: Iterable[str], notes: Sequence[str] = ()) -> Results:
    """Records with this machine, this moment and the versions of the packages."""
    return Results(title, records, machine(), versions(packages), now(), list(notes))


def now() -> str:
    """Date and minute, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def machine() -> dict[str, Any]:
    """The processor's name, the operating system and the build."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            row.partition(":")[2].strip() for row in cpuinfo.read_text().splitlines() if row.startswith("model name")
        ]
        name = names[0] if names else name
    return {"cpu": name, "cpus": os.cpu_count(), "system": platform.platform(), **show_config()}


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Installed versions by package; ``"absent"`` where a package is not installed."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found
