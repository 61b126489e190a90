"""Writes signed folders of models for the Android app, and reads reports and logs from phones."""
