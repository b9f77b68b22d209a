"""The formats that are served; the standard library alone."""

# How the name of what is written ends.
FORMATS = {"saved_model": "", "keras": ".keras", "onnx": ".onnx", "litert": ".tflite"}
