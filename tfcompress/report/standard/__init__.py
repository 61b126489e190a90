"""What the standard sections of a report hold: comparison, answers, file, where it was made."""
