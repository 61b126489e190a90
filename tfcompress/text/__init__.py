"""Text for people: logging and progress, tables, and safe display of text from foreign files."""
