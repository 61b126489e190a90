"""Makes the loops of a `.tflite` file integer, which TensorFlow's converter leaves with float variables."""
