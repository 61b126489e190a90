"""Who runs the steps of a training: Keras' `fit`, or a loop written by hand."""
