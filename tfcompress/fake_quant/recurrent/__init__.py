"""Rounds the values inside recurrent layers: one range for each inner value, shared by all steps of the sequence."""
