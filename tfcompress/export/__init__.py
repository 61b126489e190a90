"""From a live model to the bytes of a `.tflite` file: checks, simulation, TensorFlow's converter, the integer gate."""
