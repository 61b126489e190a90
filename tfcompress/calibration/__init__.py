"""Reads representative samples from any form a user has them in, and checks that they are plausible."""
