"""8-bit integers within an accuracy budget: calibration, placement, each layer's damage, search."""

from .calibration import Method
from .processor import Arithmetic, Processor, suitable_arithmetic, this_processor
from .quality import BudgetExceeded, Limit, Quality, QualityReport, Reference
from .quantize import (
    Prepared,
    Quantization,
    QuantizationReport,
    measure_quality,
    prepare,
    quantize,
)
from .samples import Samples, read_samples
from .search import Attempt, Damage

__all__ = [
    "Arithmetic",
    "Attempt",
    "BudgetExceeded",
    "Damage",
    "Limit",
    "Method",
    "Prepared",
    "Processor",
    "Quality",
    "QualityReport",
    "Quantization",
    "QuantizationReport",
    "Reference",
    "Samples",
    "measure_quality",
    "prepare",
    "quantize",
    "read_samples",
    "suitable_arithmetic",
    "this_processor",
]
