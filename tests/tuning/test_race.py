"""Successive halving on made-up timings: who is dropped, when, and what happens out of time."""

from __future__ import annotations

import pytest

from graphcnn.errors import RuntimeFailure
from graphcnn.report.tuning import Candidate, Objective
from graphcnn.tuning import race
from graphcnn.tuning.clock import Clock, OutOfTime
from graphcnn.tuning.race import FIRST_SECONDS, Races, most_children

from .fakes import BASE, Fake, candidate

MANY = [candidate(str(number)) for number in range(12)]
"""Of these the first is the fastest."""


def by_name(found: Candidate) -> float:
    name = found.variant.path.stem
    return 0.010 if name == "base" else 0.005 + 0.001 * int(name)


def races(measure: Fake, objective: Objective = "latency") -> Races:
    return Races(BASE, objective, 1, measure)


@pytest.fixture(autouse=True)
def _much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "_free_memory", lambda: 2**40)


def test_the_fastest_are_kept_and_the_slower_half_is_dropped_each_time() -> None:
    measure = Fake(by_name)
    found = races(measure)
    assert found.halve(MANY[::-1], 3, "files") == MANY[:3]
    looked_at = [{c for c in group if c != BASE} for group, _, _ in measure.calls]
    assert sum(map(len, looked_at)) == 12 + 6 + 3
    assert found.trials[MANY[11]].dropped == "in the worse half of 12 files"
    assert found.trials[MANY[4]].dropped == "in the worse half of 6 files"
    assert not found.trials[MANY[0]].dropped


def test_those_that_are_left_run_twice_as_long() -> None:
    measure = Fake(by_name)
    races(measure).halve(MANY[:4], 1, "files")
    assert [seconds / FIRST_SECONDS for _, seconds, _ in measure.calls] == [1, 2, 4]
    assert [len(group) - 1 for group, _, _ in measure.calls] == [4, 2, 1]


def test_the_base_runs_in_every_group_and_memory_bounds_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(race, "_free_memory", lambda: 3 * 2 * (race._CHILD_BYTES + 3000))
    measure = Fake(by_name)
    assert races(measure).halve(MANY[:5], 1, "files") == MANY[:1]
    assert all(group[0] == BASE and len(group) <= 3 for group, _, _ in measure.calls)


def test_a_large_file_leaves_room_for_two() -> None:
    assert most_children([candidate("0", size=2**39)]) == 2
    assert most_children([candidate("0", size=2**20)]) == race._MOST_CHILDREN


def test_ratios_are_to_the_base_in_the_same_rounds() -> None:
    found = races(Fake(by_name))
    (trial,) = found.run([MANY[0]], 1.0, 8)
    assert trial.ratio
    assert trial.ratio.value == pytest.approx(2)
    assert found.base.ratio
    assert found.base.ratio.value == 1


def test_what_does_not_run_is_dropped_with_what_it_said() -> None:
    broken = MANY[0]
    found = races(Fake(lambda c: RuntimeFailure("no kernel") if c == broken else by_name(c)))
    assert found.halve(MANY[:3], 2, "files") == MANY[1:3]
    assert found.trials[broken].dropped == "does not run: no kernel"


def test_a_base_that_does_not_run_is_an_error() -> None:
    with pytest.raises(RuntimeFailure, match="no kernel"):
        races(Fake(lambda _: RuntimeFailure("no kernel"))).halve(MANY, 2, "files")


def test_out_of_time_the_ranking_so_far_decides() -> None:
    found = races(Fake(by_name, calls=1))
    assert found.halve(MANY[6::-1], 2, "files") == MANY[:2]
    assert found.trials[MANY[2]].dropped == "no time was left for another round"
    assert found.trials[MANY[6]].dropped == "in the worse half of 7 files"


def test_out_of_time_before_anything_ran_nothing_is_kept() -> None:
    found = races(Fake(by_name, calls=0))
    assert found.halve(MANY, 2, "files") == []
    assert found.trials[MANY[0]].dropped == "no time was left"
    assert found.trials[MANY[0]].ratio is None


def test_for_size_the_smallest_that_is_not_slower_comes_first() -> None:
    small, large, slow = candidate("1", size=10), candidate("0", size=20), candidate("9", size=5)
    assert races(Fake(by_name), "size").halve([slow, large, small], 3, "files") == [
        *(small, large, slow),
    ]


def test_a_stage_ends_at_its_share_of_the_time() -> None:
    now, said = [100.0], list[str]()

    def told(stage: str, gone: float, limit: float) -> None:
        said.append(f"{stage} {gone:g}/{limit:g}")

    clock = Clock(10, told, lambda: now[0])
    clock.begin("files", 0.5)  # Of 7.5: a quarter is kept for the last stage.
    now[0] += 3
    clock.count("turns")(1, 3)
    assert said == ["files: turns, 1 of 3 3/10"]
    assert clock.left == 0.75
    now[0] += 1
    with pytest.raises(OutOfTime):
        clock.tick()
    clock.begin("settings", 1.0)
    clock.tick("more")
    assert said[-1] == "settings: more 4/10"
