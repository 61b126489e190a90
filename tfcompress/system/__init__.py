"""Atomic writes of files and folders, safe reading of arrays, modules run in processes of their own."""
