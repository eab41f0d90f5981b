"""What is chosen of the last comparison: nothing that was slower in it than plain float32.

For speed a candidate has to be faster by the whole interval of its ratio. For size, where the
smallest file that is not slower is looked for, the interval has to reach 1 and to lie above 0.95.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphcnn.report.tuning import FloatLayer, Objective, Trial, Variant, ratio_text

_NOT_SLOWER = 0.95

_LISTED = 8


def acceptable(finals: Sequence[Trial], base: Trial, objective: Objective) -> list[Trial]:
    """What may be chosen in place of plain float32, the best first.

    Args:
        finals: What took part in the last comparison.
        base: The plain float32 file.
        objective: What is looked for.
    """
    timed = [(trial, trial.ratio) for trial in finals if trial.ratio]
    if objective != "size":
        faster = [(-ratio.value, trial) for trial, ratio in timed if ratio.low > 1]
        return [trial for _, trial in sorted(faster, key=lambda item: item[0])]
    small = [
        ((_size(trial), -ratio.value), trial)
        for trial, ratio in timed
        if ratio.low > _NOT_SLOWER and ratio.high >= 1 and _size(trial) < _size(base)
    ]
    return [trial for _, trial in sorted(small, key=lambda item: item[0])]


def _size(trial: Trial) -> int:
    return trial.candidate.variant.bytes or 0


def explained(chosen: Trial, base: Trial, finals: Sequence[Trial], trials: Sequence[Trial]) -> str:
    """What was chosen, and why, in a sentence.

    Args:
        chosen: What was chosen.
        base: The plain float32 file.
        finals: What took part in the last comparison; empty where there was no time for it.
        trials: All that was tried.
    """
    if chosen is base:
        return f"plain float32 with default settings is kept: {_why_base(base, finals, trials)}"
    variant, settings = chosen.candidate.variant, chosen.candidate.changes
    parts = [f"{ratio_text(chosen.ratio)} times as fast as plain float32"]
    parts.append(f"{_size(chosen) / max(1, _size(base)):.2f} of its size")
    parts += _loss(variant, base.candidate.variant)
    with_settings = "" if settings == "default" else f" with {settings}"
    text = f"chosen: {variant.label}{with_settings}: {', '.join(parts)}"
    more = stays_float(variant) if variant.precision == "int8" else _integers(trials)
    return "; ".join([text, *more])


def _loss(variant: Variant, original: Variant) -> list[str]:
    if variant.accuracy is None or original.accuracy is None:
        exact = variant.snr is None or variant.precision == "fp32"
        return [] if exact else [f"{variant.snr:.1f} dB"]
    points = (variant.accuracy - original.accuracy) * 100
    return [f"accuracy {points:+.2f} points" if points else "the same accuracy"]


def stays_float(variant: Variant) -> list[str]:
    """Which layers stay in float, and why, by the model's own names."""
    reasons = {"harm": "for the budget", "speed": "being slower in integers"}
    found = []
    for reason, text in reasons.items():
        layers = [layer for layer in variant.floats if layer.reason == reason]
        if layers:
            found.append(f"in float {text}: {_names(layers)}")
    return found


def _names(layers: Sequence[FloatLayer]) -> str:
    places = dict.fromkeys(
        f"{layer.name} ({layer.place})" if layer.place else layer.name for layer in layers
    )
    names = list(places)
    more = [f"{len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return ", ".join(names[:_LISTED] + more)


def _why_base(base: Trial, finals: Sequence[Trial], trials: Sequence[Trial]) -> str:
    if not finals:
        timed = any(trial.ratio and trial is not base for trial in trials)
        return "no time was left " + ("for the last comparison" if timed else "to time others")
    best = max(finals, key=lambda trial: trial.ratio.value if trial.ratio else 0.0)
    text = (
        f"the best of the others, {best.candidate.variant.label} with {best.candidate.changes}"
        f" settings, was {ratio_text(best.ratio)} times as fast, which is no gain for certain"
    )
    return "; ".join([text, *_integers(trials)])


def _integers(trials: Sequence[Trial]) -> list[str]:
    """How fast integers were at best, or why there is no file of them."""
    found = [trial for trial in trials if trial.candidate.variant.precision == "int8"]
    ratios = [trial.ratio.value for trial in found if trial.ratio]
    if ratios:
        return [f"int8 was {max(ratios):.2f} times as fast at best"]
    return [f"int8: {trial.dropped}" for trial in found[:1]]
