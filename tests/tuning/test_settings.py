"""Which settings are tried."""

from __future__ import annotations

from dataclasses import fields

from graphcnn.runtime.settings import Settings
from graphcnn.tuning.settings import micro_batches, neighbours, other_providers, physical_cores


def test_neighbours_differ_in_one_thing() -> None:
    found = neighbours(Settings(), 6, ["openvino"])
    assert {s.threads for s in found} == {None, 1, 2, 4, 6}
    assert {s.optimization for s in found} == {"all", "extended", "basic"}
    assert {s.provider for s in found} == {"auto", "openvino"}
    assert {s.spinning for s in found} == {True, False}
    names = [field.name for field in fields(Settings)]
    for settings in found:
        changed = [f for f in names if getattr(settings, f) != getattr(Settings(), f)]
        assert len(changed) == 1
    assert len(found) == len(set(found)) == 8


def test_a_single_thread_spins_for_nobody() -> None:
    assert all(s.spinning for s in neighbours(Settings(threads=1), 2, []) if s.threads == 1)


def test_micro_batches_are_smaller_than_the_batch() -> None:
    assert [s.micro_batch for s in micro_batches(Settings(threads=2), 64)] == [1, 8, 32]
    assert micro_batches(Settings(), 1) == []


def test_this_machine_has_cores_and_no_provider_twice() -> None:
    assert physical_cores() >= 1
    assert "cpu" not in other_providers() or "cuda" not in other_providers()
