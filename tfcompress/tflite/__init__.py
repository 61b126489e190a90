"""The `.tflite` file: read, run, described, edited, stored with its facts."""
