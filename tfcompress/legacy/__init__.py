"""Models of Keras 2 and tfmot's own algorithms on them; nothing here is imported before it is needed."""
