"""ONNX graphs written, ONNX files run."""
