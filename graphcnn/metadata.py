"""The keys under which an .onnx file says what it is: the names of its metadata properties.

Values by the name of an input or an output, and lists, are JSON. Anyone may have written them.
"""

PREFIX = "graphcnn."

VERSION = PREFIX + "version"
"""That of graphcnn."""

MODEL = PREFIX + "model"
"""The digest of the model file."""

WEIGHTS = PREFIX + "weights"
"""Where the weights are from: a digest, or what they were drawn from."""

PRECISION = PREFIX + "precision"
"""``fp16``, ``fp16-body`` or ``int8``; absent where it is float32."""

QUANTIZATION = PREFIX + "quantization"
"""How it was put into integers."""

CLASSES = PREFIX + "classes"
"""The names of the classes."""

INPUT_LAYOUTS = PREFIX + "input_layouts"
"""The axes of each input, such as ``NCHW``."""

OUTPUT_LAYOUTS = PREFIX + "output_layouts"
"""The axes of each output."""

INPUT_COLORS = PREFIX + "input_colors"
"""``RGB`` or ``BGR``, the order of an input's channels."""

INPUT_RESIZED = PREFIX + "input_resized"
"""The height and width that an input is resized to."""

TOP_CLASSES = PREFIX + "top_classes"
"""By the output of classes, int64[N, k], the output of their scores."""
