"""What is true of Keras layers and of numbers: layer table, schedules, selections, quantization."""
