"""The flatbuffer diet: the same answers from fewer bytes, for any `.tflite` file.

Together with `flatbuffer.py` and `rewriting.py` the only place that knows the schema.
`packing` reads a file into the schema's objects and writes them with every part shared, `sharing`
drops what no interpreter needs, `spans` and `channels` find what is provably constant or unread,
`cutting` takes it out.
"""
