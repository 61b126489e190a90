"""Fidelity: measures a file against the float model, names the layer of a loss, tries ways out."""
