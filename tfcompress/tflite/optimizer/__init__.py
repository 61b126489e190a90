"""Makes any `.tflite` file smaller without changing its outputs.

`packing` reads a file into the schema's objects and writes equal parts once, `sharing` drops what no
interpreter needs, `products`, `passing` and `channels` find channels that are provably constant or
unread, `cutting` removes them, and `slim` does all of it and compares the outputs.
"""
