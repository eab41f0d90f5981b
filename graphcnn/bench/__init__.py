"""Measuring .onnx files in onnxruntime: latency, memory, and the time of each layer."""
