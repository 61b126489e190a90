"""One file, one public dataclass: what the user asks for, and how it unfolds over the training."""
