"""The `.tflite` flatbuffer as plain values, and the checks that a foreign file must pass first."""
