"""convert: a model and representative samples in, a proven `.tflite` artifact out."""
