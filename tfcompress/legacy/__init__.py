"""Legacy: ports models of Keras 2 to Keras 3, and runs tfmot's algorithms on them; imported only when needed."""
