"""onnxruntime: sessions, inputs and runs."""
