"""Looking for the fastest or smallest way to run a model on this machine, within a budget.

Not every combination is tried. First files at default settings, then the best few files with
settings that differ in one thing (for throughput, also in how many samples run at once), then the
best of those with settings that differ in one more. Each stage keeps the best by successive
halving, and at the end the best few are compared with the plain float32 file once more, for longer.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from graphcnn.errors import GraphError, MissingExtra, RuntimeFailure
from graphcnn.folders import new_folder
from graphcnn.graph import Graph
from graphcnn.quantization import Limit, this_processor
from graphcnn.report.figure import load_matplotlib, save_figure
from graphcnn.report.pareto import draw_pareto
from graphcnn.report.tuning import (
    Candidate,
    Objective,
    Trial,
    TuneReport,
    Variant,
    tuning_json,
)
from graphcnn.runtime.deploy import Deployment, write_deployment
from graphcnn.runtime.settings import Settings
from graphcnn.weights import WeightStore

from .choice import acceptable, explained
from .clock import Clock, OutOfTime, Told
from .race import SAME, Children, Measure, Races
from .settings import micro_batches, neighbours, other_providers, physical_cores
from .variants import Workshop, make_files, with_channels_last

CANDIDATES, PICTURE = "candidates.json", "pareto.png"

DEFAULT_LIMIT = Limit("accuracy", 0.002)

_BATCHES = (8, 32, 64)
_LONGEST_RUN = 1.0
"""For throughput the largest of these batches is run that takes no longer than this, in seconds."""

_FILES, _FINALISTS = 2, 3
_HOPELESS = 0.6
"""A file that is fewer times as fast as the fastest at default settings is left at these."""

_FINAL_SECONDS, _FINAL_ROUNDS, _FEWEST_ROUNDS = 4.0, 40, 9
_TIMED = 0.5
"""The share of the last stage's time for its turns; the rest is for loading and a margin."""
_TURN = 0.15
"""What a turn of the last comparison takes, the pause before it included, in seconds."""


def tune(
    graph: Graph,
    folder: str | Path,
    *,
    weights: WeightStore | str | Path,
    data: str,
    limit: Limit = DEFAULT_LIMIT,
    objective: Objective = "latency",
    time_limit: float = 300.0,
    batch: int | None = None,
    name: str | None = None,
    force: bool = False,
    told: Told = lambda stage, gone, limit: None,
    measure: Callable[[Clock], Measure] = Children,
) -> TuneReport:
    """Find the best way to run a model on this machine, and write it into a folder.

    The folder gets the ``.onnx`` file, a ``deploy.json`` with its settings, ``candidates.json``
    with all that was tried, and ``pareto.png`` where matplotlib is installed. What is chosen was
    faster than the plain float32 file with default settings in the same rounds (or with the
    objective ``size`` not slower), or else is that.

    Args:
        graph: The model, of one input.
        folder: A new or an empty folder.
        weights: Its weights, or a file of them.
        data: What `graphcnn.quantization.read_samples` takes.
        limit: What every file must keep of the float32 file's quality.
        objective: ``latency`` of a batch, ``throughput`` of large batches, or ``size``.
        time_limit: The seconds after which it is decided by what was found.
        batch: The samples of a run; if None, the batch that the model fixes, or 1, or for
            throughput up to 64.
        name: What the file is called, without its ending; the model's name if None.
        force: Whether files in the folder may be replaced.
        told: Told how it goes.
        measure: Makes what times candidates.

    Raises:
        GraphCNNError: Of the kind that says what is wrong; the folder stays as it was then.
    """
    clock = Clock(time_limit, told)
    if graph.batch is not None and batch not in (None, graph.batch):
        raise GraphError(f"the model fixes its batch at {graph.batch}, and {batch} is asked for")
    with new_folder(Path(folder), force) as partial:
        store = weights
        if not isinstance(store, WeightStore):
            store = WeightStore.read(store, graph.weights_by_node)
        made = partial / "candidates"
        name = name or graph.name.replace("/", "_")
        shop = Workshop(graph, store, name, made, clock)
        search = _Search(shop, clock, objective, limit, measure(clock))
        report = search.run(graph, data, batch)
        _write(partial, report)
        shutil.rmtree(made)
    return report


class _Search:
    """One search, stage by stage."""

    def __init__(
        self, shop: Workshop, clock: Clock, objective: Objective, limit: Limit, measure: Measure
    ) -> None:
        self._shop, self._clock, self._objective = shop, clock, objective
        self._limit, self._measure = limit, measure
        self._unmade: list[Trial] = []

    def run(self, graph: Graph, data: str, batch: int | None) -> TuneReport:
        clock, shop = self._clock, self._shop
        clock.begin("making files", 0.55)
        with suppress(OutOfTime):
            shop.measure_original(data, self._limit)
        base = Candidate(shop.original, Settings())
        size = self._batch(base, graph.batch or batch)
        races = self._races = Races(base, self._objective, size, self._measure)
        finalists = self._candidates(base, size) if shop.original.snr is not None else []
        finals = self._compared(finalists)
        chosen = self._chosen(finals)
        trials = _ordered([*races.trials.values(), *self._unmade], chosen)
        return TuneReport(
            model=graph.name,
            objective=self._objective,
            budget=str(self._limit),
            floor=self._floor(shop.original),
            held_out=shop.held_out,
            batch=size,
            base=races.base,
            trials=trials,
            chosen=chosen,
            reason=explained(chosen, races.base, finals, trials),
            seconds=clock.gone,
        )

    def _floor(self, original: Variant) -> float | None:
        if self._limit.kind == "snr":
            return self._limit.value
        return None if original.accuracy is None else original.accuracy - self._limit.value

    def _batch(self, base: Candidate, asked: int | None) -> int:
        if asked or self._objective != "throughput":
            return asked or 1
        try:
            (timing,) = self._measure([base], 1, 0.2, 1)
        except OutOfTime:
            return 1
        if isinstance(timing, RuntimeFailure):
            raise timing
        return max([1, *(size for size in _BATCHES if size * timing.p50 <= _LONGEST_RUN)])

    def _candidates(self, base: Candidate, batch: int) -> list[Candidate]:
        """The best few of all stages, the best first."""
        clock, shop, races = self._clock, self._shop, self._races
        files = self._accepted(make_files(shop, batch))
        clock.begin("timing files", 0.62)
        best = races.halve(files, _FILES, "files")
        clock.begin("channels last", 0.72)
        files = self._worth_settings([base, *best])
        last = self._accepted(with_channels_last(shop, files[0].variant))
        clock.begin("settings", 0.82)
        near = self._near(files, batch)
        best = races.halve([*best, *last, *near], _FINALISTS, "settings") or best
        clock.begin("more settings", 0.9)
        near = [near for near in self._near(best[:2], batch) if near not in races.trials]
        return races.halve([*best, *near], _FINALISTS, "settings") or best

    def _near(self, candidates: Sequence[Candidate], batch: int) -> list[Candidate]:
        """Candidates that differ from these in one setting."""
        cores, providers = physical_cores(), other_providers()
        found = []
        for candidate in candidates:
            others = neighbours(candidate.settings, cores, providers)
            if self._objective == "throughput":
                others += micro_batches(candidate.settings, batch)
            found += [Candidate(candidate.variant, other) for other in others]
        return found

    def _worth_settings(self, files: Sequence[Candidate]) -> list[Candidate]:
        """The files that other settings could make the best, the fastest first.

        onnxruntime widens float16 weights as it loads them: from then on the file is the float32
        file, and other settings matter to it as to that.
        """
        times = {
            file: (self._races.trials[file].ratio or SAME).value
            for file in files
            if file.variant.precision != "fp16" or self._objective == "size"
        }
        least = _HOPELESS * max(times.values())
        return [
            file for file in sorted(times, key=lambda file: -times[file]) if times[file] >= least
        ]

    def _accepted(self, made: Sequence[Trial]) -> list[Candidate]:
        self._unmade += [trial for trial in made if trial.dropped]
        return [trial.candidate for trial in made if not trial.dropped]

    def _compared(self, finalists: Sequence[Candidate]) -> list[Trial]:
        """The last comparison, of as many as there is time for."""
        clock, races = self._clock, self._races
        clock.begin("last comparison", 1.0)
        left = list(finalists)
        while left and _FEWEST_ROUNDS * self._longest(left) > clock.left:
            left.pop()
        if not left:
            return []
        each = _TIMED * clock.left / (len(left) + 1)
        rounds = max(_FEWEST_ROUNDS, min(_FINAL_ROUNDS, int(each / _TURN)))
        try:
            return races.run(left, min(_FINAL_SECONDS, each), rounds)
        except OutOfTime:
            return []

    def _longest(self, candidates: Sequence[Candidate]) -> float:
        """The seconds of a run of each."""
        timings = [self._races.trials[candidate].timing for candidate in candidates]
        return sum(timing.p50 for timing in (self._races.base.timing, *timings) if timing)

    def _chosen(self, finals: Sequence[Trial]) -> Trial:
        races = self._races
        for trial in acceptable(finals, races.base, self._objective):
            if self._shop.holds_with(trial.candidate):
                return trial
            reason = "outside the budget with these settings"
            races.trials[trial.candidate] = replace(trial, dropped=reason)
        return races.base


def _ordered(trials: Sequence[Trial], chosen: Trial) -> tuple[Trial, ...]:
    """The chosen one first, then the fastest first, then what was not timed."""

    def key(trial: Trial) -> tuple[bool, float]:
        return trial is not chosen, -(trial.ratio.value if trial.ratio else 0.0)

    return tuple(sorted(trials, key=key))


def _write(folder: Path, report: TuneReport) -> None:
    chosen = report.chosen
    for path in chosen.candidate.variant.path.parent.iterdir():
        os.replace(path, folder / path.name)
    path = folder / chosen.candidate.variant.path.name
    processor = this_processor().name
    settings = chosen.candidate.settings
    measured = _measured(report)
    write_deployment(folder, Deployment.of(path, settings, processor=processor, measured=measured))
    text = json.dumps(tuning_json(report), allow_nan=False, indent=1)
    (folder / CANDIDATES).write_text(f"{text}\n", encoding="utf-8")
    try:
        load_matplotlib()
    except MissingExtra:
        return
    if report.base.timing:
        save_figure(draw_pareto(report), folder / PICTURE)


def _measured(report: TuneReport) -> dict[str, float]:
    chosen, base = report.chosen, report.base.candidate.variant
    timing, ratio, variant = chosen.timing, chosen.ratio, chosen.candidate.variant
    found: dict[str, float | None] = {
        "batch": report.batch,
        "bytes": variant.bytes,
        "float32_bytes": base.bytes,
        "accuracy": variant.accuracy,
        "float32_accuracy": base.accuracy,
        "snr_db": variant.snr,
    }
    if timing and ratio:
        found |= {
            "p50_ms": timing.p50 * 1000,
            "p99_ms": timing.p99 * 1000,
            "samples_per_second": timing.throughput,
            "times_float32": ratio.value,
            "times_float32_low": ratio.low,
            "times_float32_high": ratio.high,
        }
    return {
        name: float(value)
        for name, value in found.items()
        if value is not None and math.isfinite(value)
    }
