"""Assertions that the checks share."""

import keras


def require_promise(is_true: bool, sentence: str) -> None:
    """Raises an AssertionError with a sentence unless `is_true`, even under `python -O`, which skips `assert`."""
    if not is_true:
        raise AssertionError(sentence)


def check_registered(kind: type) -> None:
    """Checks that a class is registered with Keras, so that files can name it; classes of Keras need not be."""
    if kind.__module__.startswith("keras."):
        return
    name = keras.saving.get_registered_name(kind)
    require_promise(
        keras.saving.get_registered_object(name) is kind,
        f"{kind.__name__}: files can't name the class. Write "
        f'@keras.saving.register_keras_serializable("your_package") above it',
    )
