"""NotPorted: the error for a model that can't be ported, with the layer, the reason and the way out."""


class NotPorted(ValueError):
    """Error for a model of Keras 2 that has no equivalent in Keras 3.

    Args:
        layer: Name of the layer; empty for the whole model.
        class_name: Its class in Keras 2.
        reason: Why it can't be ported.
        remedy: What to do; by default, to load the model where it was made and export it.

    Example:
        >>> from tfcompress.legacy.refused import NotPorted
        >>> str(NotPorted("local", "LocallyConnected2D", "Keras 3 has no such layer.", "Use Conv2D."))
        "layer 'local' (LocallyConnected2D) can't be ported: Keras 3 has no such layer. Use Conv2D."
    """

    def __init__(self, layer: str, class_name: str, reason: str, remedy: str = "") -> None:
        """Writes the message."""
        what = f"layer {layer!r} ({class_name})" if layer else class_name
        remedy = remedy or (
            "Load the model with the Keras 2 (or tf_keras) it was made with and store it with model.export(folder): "
            "load_model reads the folder."
        )
        super().__init__(f"{what} can't be ported: {reason} {remedy}")
        self.layer = layer
