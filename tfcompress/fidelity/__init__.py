"""Measures the fidelity of a file to the float model, finds the layer of a loss and tries ways out."""
