"""Settings worth trying on this machine: those that differ from others in one thing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from graphcnn.runtime.session import installed_providers
from graphcnn.runtime.settings import Provider, Settings

_MICRO_BATCHES = (1, 8, 32, 64, 128, 256)


def physical_cores() -> int:
    """The processor cores that this process may use; where their kinds are not told, all count."""
    usable = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        blocks = Path("/proc/cpuinfo").read_text().split("\n\n")
    except OSError:
        return usable
    keys = ("physical id", "core id")
    cores = {
        tuple(line for line in block.splitlines() if line.startswith(keys)) for block in blocks
    } - {()}
    return min(usable, len(cores)) if cores else usable


def other_providers() -> list[Provider]:
    """The installed providers that default settings do not choose."""
    installed = installed_providers()
    default = "cuda" if "cuda" in installed else "cpu"
    return [provider for provider in installed if provider != default]


def neighbours(settings: Settings, cores: int, providers: Sequence[Provider]) -> list[Settings]:
    """The settings that differ in one thing: threads, spinning, optimization or provider.

    Args:
        settings: What they differ from.
        cores: The processor cores.
        providers: The providers to try.
    """
    powers = [2**power for power in range(cores.bit_length()) if 2**power < cores]
    found = [replace(settings, threads=threads) for threads in (*powers, cores)]
    if settings.threads != 1:  # A single thread waits for no other.
        found.append(replace(settings, spinning=not settings.spinning))
    found += [replace(settings, optimization=level) for level in ("all", "extended", "basic")]
    found += [replace(settings, provider=provider) for provider in providers]
    return [other for other in dict.fromkeys(found) if other != settings]


def micro_batches(settings: Settings, batch: int) -> list[Settings]:
    """The settings with each number of samples at once that a batch has several of."""
    return [replace(settings, micro_batch=size) for size in _MICRO_BATCHES if size < batch]
