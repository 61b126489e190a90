"""Techniques: one frozen dataclass per file that says what the user asks for and how training applies it."""
