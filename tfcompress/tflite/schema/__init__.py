"""Reads the `.tflite` flatbuffer as plain values, and checks files from elsewhere."""
