"""Samples of every operator: valid ones with the sizes they give, and ones to refuse."""

from . import activation, arithmetic, arrangement, convolution, normalization, pooling, resizing
from .base import Refusal, Sample, single

_FAMILIES = (
    convolution,
    pooling,
    activation,
    arithmetic,
    arrangement,
    resizing,
    normalization,
)

VALID: list[Sample] = [sample for family in _FAMILIES for sample in family.VALID]
BAD: list[Refusal] = [refusal for family in _FAMILIES for refusal in family.BAD]

__all__ = ["BAD", "VALID", "Refusal", "Sample", "single"]
