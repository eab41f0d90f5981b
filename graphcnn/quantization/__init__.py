"""8-bit integers within an accuracy budget: calibration, placement, each layer's damage, search."""

from .calibration import Method
from .processor import Arithmetic, Processor, suitable_arithmetic, this_processor
from .quality import BudgetExceeded, Limit, Quality, QualityReport, Reference
from .quantize import Quantization, QuantizationReport, measure_quality, quantize
from .samples import Samples, read_samples
from .search import Attempt, Damage

__all__ = [
    "Arithmetic",
    "Attempt",
    "BudgetExceeded",
    "Damage",
    "Limit",
    "Method",
    "Processor",
    "Quality",
    "QualityReport",
    "Quantization",
    "QuantizationReport",
    "Reference",
    "Samples",
    "measure_quality",
    "quantize",
    "read_samples",
    "suitable_arithmetic",
    "this_processor",
]
