"""Finds raw products with a kernel, with a bias or without, that a Dense or EinsumDense layer computes as well."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras

from tfcompress.graph.clone import flat_name
from tfcompress.graph.flat.steps import Own, Step, Value, leaves_of
from tfcompress.graph.inside.functions import OperationFunction
from tfcompress.layer_table.operation_names import PRODUCTS


@dataclass(frozen=True)
class Product:
    """A product with a kernel.

    Args:
        source: Number of the value that is multiplied.
        kernel: The kernel.
        bias: The bias that is added, or None.
        last: The step that makes the result.
        equation: The equation of an einsum; None for a product over the last axis.
    """

    source: int
    kernel: keras.Variable
    bias: keras.Variable | None
    last: Step
    equation: str | None


class Kernels:
    """The layers that replace raw products with kernels.

    Args:
        calls: Outermost calls of open layers.
        owners: The open layer that has a variable, by `id(variable)`.
        paths: Path by `id(layer)`.

    Attributes:
        layers: Layer and variables (kernel, bias) by `id(kernel)`.
    """

    def __init__(self, calls: Iterable[Step], owners: dict[int, Any], paths: dict[int, str]):
        self.owners, self.paths = owners, paths
        self.layers: dict[int, tuple[Any, list[keras.Variable]]] = {}
        self._made: dict[int, Product] = {}
        uses: dict[int, set] = defaultdict(set)
        for around in (step for call in calls for step in call.all_steps() if step.is_open):
            self._find(around, uses)
        self._alone = {key for key, roles in uses.items() if len(roles) == 1}

    def _find(self, around: Step, uses: dict[int, set]) -> None:
        """Finds the products in one open layer, and in which roles its steps read variables."""
        biases = set()
        for step in around.steps:
            product = _product(step, around)
            if product is not None:
                self._made[id(step)] = product
                bias = product.bias
                uses[id(product.kernel)].add(("kernel", id(bias), product.equation))
                if bias is not None:
                    biases.add(id(product.last))
                    uses[id(bias)].add(("bias", id(product.kernel)))
            elif id(step) not in biases:
                for x in step.given:
                    if isinstance(x, Own):
                        uses[id(x.variable)].add(("read", id(step)))

    def fused(self, step: Step, env: dict[int, Any], name: Callable[[str], str]) -> tuple[Step, Any] | None:
        """Returns the last step of a product and the output of the layer in its place; None for other steps.

        Args:
            step: A call of a function or operator.
            env: Symbolic tensor by number of value.
            name: Function that makes a name unique.
        """
        product = self._made.get(id(step))
        if product is None or not isinstance(env.get(product.source), keras.KerasTensor):
            return None
        held = [v for v in (product.kernel, product.bias) if v is not None]
        if not all(id(v) in self._alone and id(v) in self.owners for v in held):
            return None
        key = id(product.kernel)
        if key not in self.layers:
            self.layers[key] = (self._layer(product, name), held)
        layer = self.layers[key][0]
        try:
            made = layer(env[product.source])
        except (ValueError, TypeError):  # an equation that EinsumDense does not take
            made = None
        if made is None or layer.kernel.shape != product.kernel.shape:
            del self.layers[key]
            return None
        return product.last, made

    def _layer(self, product: Product, name: Callable[[str], str]) -> Any:
        kernel, bias = product.kernel, product.bias
        owner = self.owners[id(kernel)]
        path = self.paths.get(id(owner), owner.name)
        own = [v for v in owner.variables if id(v) not in (id(kernel), id(bias))]
        options: dict[str, Any] = {"use_bias": bias is not None} if product.equation is None else {}
        for key, v in (("kernel", kernel), ("bias", bias)):
            if v is not None:
                options |= {f"{key}_regularizer": v.regularizer, f"{key}_constraint": v.constraint}
        options |= {"name": name(flat_name(f"{path}/{kernel.name}" if own else path)), "dtype": owner.dtype_policy}
        if product.equation is None:
            return keras.layers.Dense(kernel.shape[-1], **options)
        shape = next(iter(product.last.shapes.values()))[1:]
        axes = product.equation.split("->")[1][-1] if bias is not None else None
        return keras.layers.EinsumDense(product.equation, shape, bias_axes=axes, **options)


def _product(step: Step, around: Step) -> Product | None:
    """Returns the product that a step computes with a kernel."""
    if not isinstance(step.op, OperationFunction):
        return None
    equation, args = None, list(step.args)
    if step.op.kind == "Einsum" and args and isinstance(args[0], str):
        equation = args.pop(0).replace(" ", "")
    elif step.op.kind not in PRODUCTS:
        return None
    if len(args) != 2 or step.kwargs or not (isinstance(args[0], Value) and isinstance(args[1], Own)):
        return None
    kernel = args[1].variable
    if equation is None and len(kernel.shape) != 2:
        return None
    last, bias = _bias(step, around)
    return Product(args[0].number, kernel, bias, last, equation)


def _bias(step: Step, around: Step) -> tuple[Step, keras.Variable | None]:
    """Returns the step that adds a bias to a product, and the bias; the step itself if none does."""
    (number,), (shape,) = step.made, step.shapes.values()
    readers = [s for s in around.steps if any(isinstance(x, Value) and x.number == number for x in s.given)]
    is_result = any(isinstance(x, Value) and x.number == number for x in leaves_of(around.results))
    if len(readers) != 1 or is_result or not isinstance(readers[0].op, OperationFunction):
        return step, None
    (reader,) = readers
    others = [x for x in reader.given if isinstance(x, Own)]
    is_bias = reader.op.kind == "Add" and len(reader.given) == 2 and len(others) == 1
    if is_bias and tuple(others[0].variable.shape) == (shape[-1],):
        return reader, others[0].variable
    return step, None
