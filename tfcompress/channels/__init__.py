"""Channel dependencies: which channels go together, what each is worth, and cutting them out."""
