"""From a trained Keras model to one proven `.tflite` file: convert, verify, run, store."""
