"""Which layers are open: what is known of the operations that their own `call` computes."""

import difflib
import weakref
from dataclasses import dataclass, field
from typing import Any

import keras

from tfcompress.graph.inside.functions import OperationFunction
from tfcompress.graph.keras_private import children, has_graph
from tfcompress.graph.tree import containers, is_container, leaves
from tfcompress.layer_table.inner_operation import InnerOperation
from tfcompress.layer_table.lookup import is_of_keras, spec_of


@dataclass
class Inside:
    """The operations inside of one layer's `call`.

    Args:
        operations: In order of execution at inference.
        is_closed: Whether the layer can't be followed inside, and counts as one operation of unknown type.
        in_training: Number of an operation in training to its number at inference, for those that occur in both.
        signatures: Of each operation its kind, whether it depends on the inputs, and the shapes of its outputs.
        training: The same in training.
        functions: The functions that its operations call, at inference and in training.
    """

    operations: list[InnerOperation] = field(default_factory=list)
    is_closed: bool = False
    in_training: dict[int, int] = field(default_factory=dict)
    signatures: list[tuple] = field(default_factory=list)
    training: list[tuple] = field(default_factory=list)
    functions: dict[tuple[int, str], OperationFunction] = field(default_factory=dict)

    def at(self, number: int, trains: bool) -> InnerOperation | None:
        """Returns the operation of some number in a call at inference or in training; None for one not known."""
        place = self.in_training.get(number) if trains else number
        return self.operations[place] if place is not None and place < len(self.operations) else None

    def kind(self, number: int, trains: bool) -> str | None:
        """Returns the kind of the operation of some number in a call at inference or in training; None beyond them."""
        signatures = self.training if trains else self.signatures
        return signatures[number][0] if number < len(signatures) else None

    def take_over(self, before: "Inside | None") -> None:
        """Keeps what was known of the layer in training, if it still computes the same."""
        if before is not None and before.signatures == self.signatures:
            self.in_training, self.training = before.in_training, before.training
            self.functions = before.functions | self.functions

    def align(self, signatures: list[tuple]) -> None:
        """Matches the operations of a call in training with those at inference.

        Args:
            signatures: Those of the operations in training, in order.
        """
        self.training = signatures
        matcher = difflib.SequenceMatcher(None, signatures, self.signatures, autojunk=False)
        self.in_training = {
            block.a + k: block.b + k for block in matcher.get_matching_blocks() for k in range(block.size)
        }


_opened: "weakref.WeakKeyDictionary[Any, Inside]" = weakref.WeakKeyDictionary()


def inside(op: Any) -> Inside | None:
    """Returns what is known of the inside of a layer; None if it was not traced, or is no layer of unknown type."""
    return _opened.get(op)


def remember(op: Any, found: Inside) -> None:
    """Keeps what was found inside of a layer, as long as the layer lives."""
    _opened[op] = found


def can_open(op: Any) -> bool:
    """Whether a layer's `call` is code that the layer table does not know, but for our own layers and SavedModels."""
    if not isinstance(op, keras.layers.Layer) or has_graph(op):
        return False
    spec = spec_of(op)
    if type(op).__module__.startswith("tfcompress.") or is_of_keras(op) and not spec.holds_code:
        return False
    return isinstance(op, keras.Model) or not spec.is_known and (not spec.axes or bool(children(op)))


def open_layers(model: keras.Model) -> list[tuple[str, Any]]:
    """Returns path and layer of everything in a model that can be opened, the model itself included."""
    own = [(model.name, model)] if can_open(model) else []
    return [*own, *((path, op) for path, op in (*containers(model), *leaves(model)) if can_open(op))]


def holders(model: keras.Model) -> list[tuple[str, Any]]:
    """Returns `(path, layer)` of what holds operations: models, composite layers, and open layers without layers."""
    plain = [(path, op) for path, op in leaves(model) if (known := inside(op)) is not None and not known.is_closed]
    return [*containers(model), *((path, op) for path, op in plain if not is_container(op))]


def holder_path(path: str, op: Any) -> str:
    """Returns the path of the layer in whose call an operation is; the path itself for a layer."""
    return path.rpartition("/")[0] or path if isinstance(op, InnerOperation) else path


def operations(model: keras.Model) -> list[tuple[str, Any]]:
    """Returns `(path, operation)` of all operations of a traced model: layers, and what open layers compute themselves.

    Args:
        model: A model that was traced with `trace(model, opens=True)`.
    """
    found = []
    for path, op in leaves(model):
        known = inside(op)
        if known is None or known.is_closed or is_container(op) or spec_of(op).axes:  # the last for their weights
            found.append((path, op))
    for path, op in open_layers(model):
        known = inside(op)
        if known is not None and not known.is_closed:
            prefix = "" if op is model else f"{path}/"
            found += [(f"{prefix}{inner.name}", inner) for inner in known.operations]
        elif known is not None and is_container(op):
            found.append((path, op))
    return found
