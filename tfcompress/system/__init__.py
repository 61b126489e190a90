"""Writes files whole or not at all, reads arrays with care, runs modules in processes of their own."""
