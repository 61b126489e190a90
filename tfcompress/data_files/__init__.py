"""Data for a model from files and folders: arrays, tables, pictures and sounds in class folders; one reader a file."""
