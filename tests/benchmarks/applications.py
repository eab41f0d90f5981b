"""The networks of keras.applications: our compiler against Keras's export, onnxsim and onnxslim.

    python -m tests.benchmarks.applications [MODEL ...] [--all] [--cache DIR] [--json FILE]

Each network is saved once as .keras, with weights and statistics that make its logits spread (see
application_steps.py). Then, each in a process of its own and one at a time: `graphcnn compile`;
`model.export(format="onnx")` on the loaded model, which may fail or take all memory; onnxsim and
onnxslim on that file. Every file is run on the same images in its own layout and compared with
Keras; then ours and each peer's run in turns, at batch 1 in two threads. Ratios are ours to the
peer's: below 1 is better. A peer's nodes and bytes count where there is a file, right or wrong;
its latency counts where the file runs. With `--cache`, what peers took is measured once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .application_steps import MODEL, SAVED, TOLERANCE
from .common import ChildFailed, Row, graphcnn_command, measure, median_of, print_table, say

Record = dict[str, Any]

FAMILIES = {
    "MobileNet": "",
    "MobileNetV2": "",
    "MobileNetV3": "Small Large",
    "EfficientNet": "B0 B1 B2 B3 B4 B5 B6 B7",
    "EfficientNetV2": "B0 B1 B2 B3 S M L",
    "NASNet": "Mobile Large",
    "DenseNet": "121 169 201",
    "InceptionV3": "",
    "Xception": "",
    "ResNet": "50 101 152",
    "ResNet50V2": "",
    "ResNet101V2": "",
    "ResNet152V2": "",
    "ConvNeXt": "Tiny Small Base Large XLarge",
    "InceptionResNetV2": "",
    "VGG": "16 19",
}
VARIANTS = {name: [name + tail for tail in tails.split(" ")] for name, tails in FAMILIES.items()}
ALL = [model for models in VARIANTS.values() for model in models]
SMALLEST = [models[0] for name, models in VARIANTS.items() if not name.startswith("ResNet1")]
PEERS = ("export", "onnxsim", "onnxslim")
COMPILES = 3
TEN_TIMES_FASTER = ("ResNet50", "InceptionV3")
SPARE_BYTES = 400_000_000
"""What compiling may hold besides the largest tensor."""


def step(name: str, *arguments: object, limits: argparse.Namespace | None = None) -> Record:
    """What a step of application_steps.py found, run in a process of its own.

    Raises:
        ChildFailed: It failed, or went past a limit.
    """
    most = {}
    if limits is not None:
        most = {"most_bytes": int(limits.gigabytes * 1e9), "most_seconds": limits.seconds}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        module = [sys.executable, "-m", "tests.benchmarks.application_steps", name]
        measure([*module, *map(str, arguments), str(result)], **most)
        found: Record = json.loads(result.read_text())
    return found


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A folder whose files move to another when all are there, JSON last; else nothing is left."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent) as name:
        yield Path(name)
        folder.mkdir(exist_ok=True)
        for path in sorted(Path(name).iterdir(), key=lambda path: path.suffix == ".json"):
            shutil.move(path, folder / path.name)


def kept(folder: Path, name: str, make: Callable[[Path], Record]) -> Record:
    """What a JSON file of a folder holds; it is made with its other files where it is missing."""
    if not (folder / name).exists():
        with staged(folder) as work:
            (work / name).write_text(json.dumps(make(work), indent=2))
    found: Record = json.loads((folder / name).read_text())
    return found


def peers(work: Path, saved: Path, arguments: argparse.Namespace) -> Record:
    """What each peer made of a saved network: its costs and its file's figures, or a problem."""
    sources = {"export": saved / MODEL, "onnxsim": work / "export.onnx"}
    found: Record = {}
    for peer in PEERS:
        say(f"  {peer}")
        source, target = sources.get(peer, work / "export.onnx"), work / f"{peer}.onnx"
        if not source.exists():
            found[peer] = {"problem": "no file to work on"}
            continue
        try:
            found[peer] = step(peer, source, target, limits=arguments)
            found[peer] |= step("check", target, saved)
        except ChildFailed as error:
            found[peer] = {"problem": f"failed: {error}"}
    return found


def ours(target: Path, saved: Path, facts: Record) -> Record:
    """What ``graphcnn compile`` makes of a saved network: its costs and its file's figures."""
    model = str(saved / MODEL)
    command = graphcnn_command(
        "compile", model, "-o", str(target), "--target", "onnxruntime", "--force"
    )
    try:
        runs = [measure(command) for _ in range(COMPILES)]
        found = step("check", target, saved)
        counting = graphcnn_command("infer-shapes", model, "--json")
        told = subprocess.run(counting, capture_output=True, check=True)
    except (ChildFailed, subprocess.CalledProcessError) as error:
        return {"problem": f"failed: {error}"}
    peak = max(run.peak_bytes for run in runs)
    found |= {"params": json.loads(told.stdout)["total_params"], "peak_bytes": peak}
    found["seconds"] = median_of([run.seconds for run in runs])
    found["memory_met"] = peak <= facts["largest_tensor"] + SPARE_BYTES
    if found["params"] != facts["params"]:
        found["problem"] = f"{found['params']} parameters and not {facts['params']}"
    return found


def timed(target: Path, saved: Path, record: Record, repeats: int) -> Record:
    """The latencies of our file and of each peer's that runs, in turns."""
    paths = {
        str(saved / f"{peer}.onnx"): peer
        for peer in PEERS
        if record.get(peer, {}).get("apart") is not None
    }
    found = step("latency", repeats, saved, target, *paths)
    rows: Record = {}
    for path, pairs in found["pairs"].items():
        ratios = sorted(mine / other for mine, other in pairs)
        rows[paths[path]] = {
            "ms": 1000 * median_of([mine for mine, _ in pairs]),
            "peer_ms": 1000 * median_of([other for _, other in pairs]),
            "ratio": median_of(ratios),
            "quartiles": [ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]],
        }
    if found["alone"]:
        rows["alone"] = {"ms": 1000 * median_of(found["alone"])}
    return rows


def measured(name: str, folder: Path, arguments: argparse.Namespace) -> Record:
    """Everything about a network; ``problem`` where it cannot even be saved."""
    saved = folder / (f"{name}-{arguments.size}" if arguments.size else name)
    record: Record = {"model": name}
    try:
        say(name)
        record |= kept(saved, SAVED, lambda work: _saved(name, work, arguments.size))
        if arguments.peers == "all":
            record |= kept(saved, "peers.json", lambda work: peers(work, saved, arguments))
        if arguments.prepare:
            return record
        with tempfile.TemporaryDirectory() as work:
            say("  graphcnn")
            target = Path(work) / "ours.onnx"
            record["ours"] = ours(target, saved, record)
            if record["ours"].get("apart") is not None:
                say("  latency")
                record["latency"] = timed(target, saved, record, arguments.repeats)
    except ChildFailed as error:
        record["problem"] = str(error)
    return record


def _saved(name: str, work: Path, size: int) -> Record:
    return step("save", name, size, work)


def best(record: Record, key: str) -> float | None:
    """The least that any peer has of something."""
    return min((record[p][key] for p in PEERS if key in record.get(p, {})), default=None)


def best_latency(record: Record) -> Record | None:
    """The latency beside the fastest peer."""
    rows = record.get("latency", {}).values()
    return min((row for row in rows if "ratio" in row), key=lambda r: r["peer_ms"], default=None)


def divided(value: float | None, other: float | None) -> float | None:
    """A ratio of two figures that may be missing."""
    return value / other if value is not None and other else None


def right_row(record: Record) -> Row:
    """Whether each file is right."""
    row: Record = {"model": record["model"], "apart": record.get("ours", {}).get("apart")}
    for side in ("ours", *PEERS):
        problem = record.get(side, {"problem": "not run"})["problem"]
        row[side] = (problem or "right")[:40]
    return {**row, **({"ours": record["problem"]} if "problem" in record else {})}


def count_row(record: Record) -> Row:
    """What is in each file: nodes, of them Transposes and BatchNormalizations; and bytes."""
    row: Record = {"model": record["model"]}
    for side in ("ours", *PEERS):
        found = record.get(side, {})
        keys = ("nodes", "transposes", "batch_norms")
        row[side] = "/".join(str(found[key]) for key in keys) if "nodes" in found else None
    mine = record.get("ours", {})
    row["node ratio"] = divided(mine.get("nodes"), best(record, "nodes"))
    row["bytes"] = mine.get("bytes")
    row["byte ratio"] = divided(mine.get("bytes"), best(record, "bytes"))
    return row


def cost_row(record: Record) -> Row:
    """What making the files took, and how fast they run."""
    mine, keras = record.get("ours", {}), record.get("export", {})
    row: Record = {"model": record["model"], "s": mine.get("seconds")}
    row |= {"export s": keras.get("seconds"), "times faster": None}
    row["times faster"] = divided(keras.get("seconds"), mine.get("seconds"))
    row["peak MB"] = divided(mine.get("peak_bytes"), 1e6)
    row["export MB"] = divided(keras.get("peak_bytes"), 1e6)
    row["of that added"] = divided(keras.get("added_bytes"), 1e6)
    row["times less"] = divided(keras.get("peak_bytes"), mine.get("peak_bytes"))
    fastest, alone = best_latency(record), record.get("latency", {}).get("alone", {})
    if not fastest:
        return {**row, "ms": alone.get("ms")}
    row |= {"ms": fastest["ms"], "best peer ms": fastest["peer_ms"], "ratio": fastest["ratio"]}
    return {**row, "quartiles": "{:.2f}-{:.2f}".format(*fastest["quartiles"])}


def verdicts(records: Sequence[Record]) -> Iterator[str]:
    """How many networks meet each target, and which do not."""
    yield _verdict("right", records, lambda r: _right(r, "ours"))
    compared = [record for record in records if "export" in record]
    yield _verdict("right, Keras's export", compared, lambda r: _right(r, "export"))
    done = [record for record in records if "nodes" in record.get("ours", {})]
    yield _verdict("largest tensor + 400 MB", done, lambda r: r["ours"]["memory_met"])
    yield _verdict("at most one Transpose", done, lambda r: r["ours"]["transposes"] <= 1)
    yield _verdict("no BatchNormalization", done, lambda r: not r["ours"]["batch_norms"])
    beside = [record for record in done if best(record, "nodes")]
    yield _verdict(
        "no more nodes than any peer",
        beside,
        lambda r: r["ours"]["nodes"] <= (best(r, "nodes") or 0),
    )
    fast = [record for record in done if best_latency(record)]
    yield _verdict("latency at most the best peer's, or 1.0 within quartiles", fast, _as_fast)
    famous = [r for r in beside if r["model"] in TEN_TIMES_FASTER and "seconds" in r["export"]]
    yield _verdict(
        "10 times faster, 5 times less memory than Keras's export",
        famous,
        lambda r: (
            r["export"]["seconds"] >= 10 * r["ours"]["seconds"]
            and r["export"]["peak_bytes"] >= 5 * r["ours"]["peak_bytes"]
        ),
    )


def _verdict(target: str, records: Sequence[Record], met: Callable[[Record], bool]) -> str:
    missed = [record["model"] for record in records if not met(record)]
    told = f"; missed: {', '.join(missed)}" if missed else ""
    return f"{target}: {len(records) - len(missed)} of {len(records)}{told}"


def _right(record: Record, side: str) -> bool:
    return record.get(side, {"problem": "missing"})["problem"] is None


def _as_fast(record: Record) -> bool:
    row = best_latency(record)
    return row is not None and min(row["ratio"], row["quartiles"][0]) <= 1


def tables(records: Sequence[Record]) -> None:
    """Print everything."""
    titles = {
        f"right: within {TOLERANCE} of Keras, relative to the largest logit": right_row,
        "nodes/Transpose/BatchNormalization; ratios to the best peer": count_row,
        "making the file; running it at batch 1 in two threads, beside the fastest peer": cost_row,
    }
    for title, row in titles.items():
        print(f"\n{title}\n")
        print_table([row(record) for record in records])
    print("\n" + "\n".join(verdicts(records)))


def written(path: Path, records: Sequence[Record]) -> None:
    """Replace the JSON file, so that what is measured is not lost when a later network fails."""
    facts = {"cpus": os.cpu_count(), "load_average": os.getloadavg(), "tolerance": TOLERANCE}
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps({**facts, "models": records}, indent=2))
    partial.replace(path)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    options.add_argument("models", nargs="*", metavar="MODEL", help=f"default: {SMALLEST}")
    options.add_argument("--all", action="store_true", help=f"all {len(ALL)}")
    options.add_argument("--size", type=int, default=0, help="of images; default: the network's")
    options.add_argument("--peers", choices=["all", "none"], default="all")
    options.add_argument("--prepare", action="store_true", help="only the networks and peers")
    options.add_argument("--cache", type=Path, help="where networks and peers' files are kept")
    options.add_argument("--repeats", type=int, default=21, help="turns of latency; default: 21")
    options.add_argument("--gigabytes", type=float, default=10, help="for a peer; default: 10")
    options.add_argument("--seconds", type=float, default=600, help="for a peer; default: 600")
    options.add_argument("--json", type=Path, help="the file that takes all figures")
    arguments = options.parse_args()
    unknown = sorted(set(arguments.models) - set(ALL))
    if unknown:
        options.error(f"not in keras.applications: {', '.join(unknown)}; there are {ALL}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    records: list[Record] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.cache or Path(scratch)
        for name in arguments.models or (ALL if arguments.all else SMALLEST):
            records.append(measured(name, folder.resolve(), arguments))
            if arguments.json:
                written(arguments.json, records)
    tables(records)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
