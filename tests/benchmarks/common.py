"""What the benchmarks share: children that are measured, medians, and tables.

This module imports nothing heavy: a child's peak memory counts its parent's from before it became
another program.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"

Row = Mapping[str, Any]

ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
"""Of children: they find compiled bytecode as an installed package has it."""


class ChildFailed(Exception):
    """A child ended with an error, or went past a limit."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a child took.

    Attributes:
        seconds: Wall time of the whole process.
        cpu_seconds: What it and the system computed for it, which other load changes less.
        peak_bytes: The most memory that it held.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def measure(
    command: Sequence[str], *, most_bytes: int | None = None, most_seconds: float | None = None
) -> Run:
    """Run a command from the root of the repository, and measure the process.

    Args:
        command: The command.
        most_bytes: It is killed when it holds more memory than this.
        most_seconds: It is killed when it takes longer.

    Raises:
        ChildFailed: It failed or was killed; the message has the last line that it wrote.
    """
    with tempfile.TemporaryFile() as messages:
        start = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=messages
        )
        try:
            reason = _watch(child.pid, start, most_bytes, most_seconds)
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:  # Ctrl-C
            child.kill()
            child.wait()
            raise
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            messages.seek(0)
            lines = messages.read().decode(errors="replace").strip().splitlines()
            raise ChildFailed(reason or (lines or [f"exit status {child.returncode}"])[-1])
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def _watch(
    pid: int, start: float, most_bytes: int | None, most_seconds: float | None
) -> str | None:
    """Wait for a child that has limits, and return why it was killed, if it was."""
    if most_bytes is None and most_seconds is None:
        return None
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        reason = None
        if most_bytes is not None and _resident_bytes(pid) > most_bytes:
            reason = f"killed past {most_bytes / 1e9:.1f} GB"
        if most_seconds is not None and time.perf_counter() - start > most_seconds:
            reason = f"killed past {most_seconds:.0f} s"
        if reason:
            os.kill(pid, signal.SIGKILL)
            return reason
        time.sleep(0.02)
    return None


def _resident_bytes(pid: int) -> int:
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def interleaved(
    jobs: Mapping[str, Callable[[], Any]], repeats: int, *, warm_up: bool = True
) -> dict[str, list[Any]]:
    """The results of each job by name, the jobs taking turns so that load falls on all alike.

    Args:
        jobs: What to call.
        repeats: The turns.
        warm_up: Whether there is one more turn first, to fill caches, that is not counted.
    """
    results: dict[str, list[Any]] = {name: [] for name in jobs}
    for _ in range(repeats + warm_up):
        for name, job in jobs.items():
            results[name].append(job())
    return {name: found[warm_up:] for name, found in results.items()}


def graphcnn_command(*arguments: str) -> list[str]:
    """The console script of this environment, with arguments."""
    return [str(Path(sys.executable).with_name("graphcnn")), *arguments]


def median_of(values: Sequence[float]) -> float:
    """The median."""
    return float(median(values))


def judged(value: float, limit: float) -> str:
    """Whether a value is at most its target."""
    return "met" if value <= limit else "MISSED"


def parser(description: str | None, repeats: int) -> argparse.ArgumentParser:
    """The arguments that all benchmarks take."""
    found = argparse.ArgumentParser(description=(description or "").split("\n\n")[0])
    found.add_argument("--json", action="store_true", help="print JSON rather than a table")
    found.add_argument("--repeats", type=int, default=repeats, help=f"default: {repeats}")
    return found


def say(message: str) -> None:
    """Tell how far a long measurement is, on standard error."""
    print(message, file=sys.stderr, flush=True)


def report(title: str, rows: Sequence[Row], arguments: argparse.Namespace, **facts: Any) -> None:
    """Print rows as a table or, with ``--json``, as JSON, with the load of the machine."""
    load = [round(value, 2) for value in os.getloadavg()]
    facts = {"cpus": os.cpu_count(), "load_average": load, "repeats": arguments.repeats, **facts}
    if arguments.json:
        print(json.dumps({"benchmark": title, **facts, "rows": list(rows)}, indent=2))
        return
    print(f"{title} ({', '.join(f'{name} {value}' for name, value in facts.items())})\n")
    print_table(rows)


def print_table(rows: Sequence[Row]) -> None:
    """Print rows under their keys, numbers to the right."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names] + [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    for line in cells:
        first = line[0].ljust(widths[0])
        others = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        print("  ".join([first, *others]).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 0.01 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
