"""What every check says where something does not hold."""

import keras


def hold(is_true: bool, sentence: str) -> None:
    """Raises an AssertionError with a sentence, also under `python -O`, which takes `assert` statements out."""
    if not is_true:
        raise AssertionError(sentence)


def check_registered(kind: type) -> None:
    """Holds that files can name a class; those of Keras they name by module."""
    if kind.__module__.startswith("keras."):
        return
    name = keras.saving.get_registered_name(kind)
    hold(
        keras.saving.get_registered_object(name) is kind,
        f"{kind.__name__}: files can't name the class. Write "
        f'@keras.saving.register_keras_serializable("your_package") above it',
    )
