"""The plan: what each technique does to each weight and activation, or why not."""

from dataclasses import dataclass, field

import keras
import numpy as np

from tfcompress.deploy.export_check import refused_parts
from tfcompress.deploy.unconvertible import NotConvertible
from tfcompress.facts.quantspec import QuantSpec
from tfcompress.facts.select import matches, resolve, unmatched, where
from tfcompress.facts.spec import spec_of, weight
from tfcompress.mechanics.chain import Chain, Treatment
from tfcompress.mechanics.graph import frozen, leaves
from tfcompress.mechanics.own_code import own_code
from tfcompress.mechanics.plain_layers import is_quantized_by_keras
from tfcompress.mechanics.ranging import ranged
from tfcompress.mechanics.state import CompressionState
from tfcompress.mechanics.wrapping import is_wrapped
from tfcompress.techniques.base import Kernel, Skip, Target, Technique
from tfcompress.techniques.quantize import Quantize


@dataclass(frozen=True)
class Row:
    """One line of the plan: what happens to a weight ("" is an output), or why nothing does."""

    layer: str
    weight: str
    action: str
    is_treated: bool = True


@dataclass
class Plan:
    """What will be done to a model.

    Args:
        rows: One per layer and weight, in graph order.
        state: The state that does it.
        kernels: Technique name to its treated weights.
        extras: Technique name to further state it keeps.
    """

    rows: list[Row] = field(default_factory=list)
    state: CompressionState | None = None
    kernels: dict[str, list[Kernel]] = field(default_factory=dict)
    extras: dict[str, list[keras.layers.Layer]] = field(default_factory=dict)

    def text(self) -> str:
        """Returns the plan as a table."""
        head = ("layer", "weight", "what is done, or why not")
        cells = [
            head,
            *((r.layer, r.weight or "(output)", r.action if r.is_treated else f"- {r.action}") for r in self.rows),
        ]
        wide = [max(len(c[k]) for c in cells) for k in range(2)]
        return "\n".join(f"{a:<{wide[0]}}  {b:<{wide[1]}}  {c}" for a, b, c in cells)

    def __str__(self) -> str:
        """The table."""
        return self.text()


def make_plan(model: keras.Model, techniques: list[Technique], seed: int = 0, can_cut: bool = False) -> Plan:
    """Decides what is done to a built model, and makes the state that does it.

    The model is not changed.

    Args:
        model: A built model; Functional, Sequential or subclassed.
        techniques: The recipe.
        seed: Seed of what is drawn at random.
        can_cut: Whether shapes may change when training has ended.

    Returns:
        The plan.

    Raises:
        ValueError: If a technique changes shapes that may not, if nothing at all would be treated, if an
            override names no layer, or if activations are to be quantized in a model whose graph
            can't be followed.
    """
    return _Planner(model, techniques, seed, can_cut).plan()


class _Planner:
    def __init__(self, model, techniques, seed, can_cut):
        self.model, self.seed, self.can_cut = model, seed, can_cut
        self.techniques = sorted(techniques, key=lambda t: t.order)
        self.leaves = leaves(model)
        self.frozen = frozen(model)
        self.own = own_code(model)
        self.quantize = next((t for t in self.techniques if isinstance(t, Quantize)), None)
        self.captured = {path for t in self.techniques for path in t.captured(model)}
        self.rows: list[Row] = []
        self.kernels: dict[str, list[Kernel]] = {t.name: [] for t in self.techniques}

    def plan(self) -> Plan:
        self._refuse()
        spots, inputs = self._placement()
        treatments = [self._treatment(k, path, op, spots) for k, (path, op) in enumerate(self.leaves)]
        extras = {t.name: t.extras(self.model) for t in self.techniques}
        state = CompressionState(
            [t for t in treatments if t is not None],
            inputs,
            [e for made in extras.values() for e in made],
        )
        if (
            self.techniques
            and not any(r.is_treated for r in self.rows)
            and not any(hasattr(t, "loss") for t in self.techniques)
        ):
            raise ValueError(
                "Nothing in this model would be treated.\n" + Plan(self.rows).text() + "\n"
                "Set `trainable = True` on what you want compressed, loosen `where`, or describe "
                "your layers (tfc.describe)."
            )
        return Plan(self.rows, state, self.kernels, extras)

    def _refuse(self):
        if is_wrapped(self.model):
            raise ValueError(
                f"Model {self.model.name!r} is a session's, with compression in its layers. "
                "Go on with session = tfc.compress(model, recipe)."
            )
        self._check_codes()
        self._check_file()
        for t in self.techniques:
            if t.shape_changing and not (self.can_cut and t.is_gradual):
                raise ValueError(
                    f"{t.name} changes the shape of the model, which a callback on a live model "
                    "can't do. Use session = tfc.compress(model, recipe), then fit session.model "
                    "with session.callbacks."
                )
            chosen, ops = where(t.where), [op for _, op in self.leaves]
            for what, keys in (
                ("overrides", t.overrides or {}),
                ("`where`", (*chosen.layers, *chosen.skip)),
            ):
                if lost := unmatched(ops, keys):
                    raise ValueError(
                        f"{t.name}: {what} names no layer of model {self.model.name!r}: {lost}. "
                        f"Its layers are: {', '.join(op.name for op in ops)}."
                    )

    def _check_codes(self):
        codes = [path for path, op in self.leaves if is_quantized_by_keras(op)]
        if codes and self.techniques:
            raise ValueError(
                f"Layers {codes[:6]}{' and more' if len(codes) > 6 else ''} of model {self.model.name!r} hold codes of "
                "Keras' own quantize(), which no training changes. Compress the model as it was before, with "
                "tfc.Quantize in the recipe, or make a file of this one: tfc.convert(model, calibration=x)."
            )

    def _check_file(self):
        """A recipe that ends in an integer file refuses what no file can hold; others say so."""
        refused = refused_parts(self.model, self.own.traced)
        if refused and self.quantize is not None:
            raise NotConvertible(f"Quantize: no .tflite file can hold a part of model {self.model.name!r}", refused)
        self.rows += [Row(r.layer or r.op, "*", f"no .tflite file can hold {r.op}: {r.remedy}", False) for r in refused]
        for path, names in self.own.draws.items():
            drawn = f"draws random numbers ({', '.join(names)}), of which an integer file holds one draw"
            self.rows.append(Row(path, "*", drawn, False))

    # activations

    def _placement(self):
        spec = self.quantize.spec if self.quantize else None
        if spec is None or spec.activation_bits is None:
            return {}, []

        def make(span, op):
            setting = self._scheme(op) if op is not None else spec
            return self.quantize.range(setting or spec, span.name, span.positive)

        return ranged(self.model, make, self._left_out, "Quantize")

    def _scheme(self, op) -> QuantSpec | None:
        value = resolve(op, self.quantize.scheme, self.quantize.overrides)
        return None if value is None else self.quantize.accept(value)

    def _left_out(self, op) -> bool:
        scheme = self._scheme(op)
        return scheme is None or scheme.activation_bits is None or not self._is_chosen(op)

    def _is_chosen(self, op) -> bool:
        """Whether `where` leaves a layer any kernel; without any it goes with its neighbours."""
        chosen, kernels = where(self.quantize.where), spec_of(op).kernels
        return not kernels or any(chosen(op, name, int(np.prod(weight(op, name).shape))) for name in kernels)

    # weights

    def _treatment(self, index, path, op, spots) -> Treatment | None:
        spot = spots.get(id(op))
        t = Treatment(path, op, index)
        if spot is not None:
            spot.onto(t)
        spec = spec_of(op)
        for name in spec.kernels:
            self._weight(t, spec, name)
        if not spec.is_known and getattr(op, "trainable_variables", None):
            self.rows.append(
                Row(
                    path,
                    "*",
                    f"unknown layer type {type(op).__name__}: describe it with tfc.describe",
                    False,
                )
            )
        self._output_row(t)
        t.captures = path in self.captured
        return t if t.chains or spot is not None or t.captures else None

    def _weight(self, t: Treatment, spec, name):
        chain = Chain.of(t.op, name)
        chain.is_borrowed = id(chain.variable) in self.own.borrowed
        target = Target(t.path, t.op, name, spec, chain, t.norm is not None)
        done, left = [], []
        for technique in self.techniques:
            if type(technique).transforms is Technique.transforms:
                continue
            setting = technique.setting(target)
            # the rounding of Quantize leaves the weights of a frozen layer as they are, and the
            # file needs it
            if id(t.op) in self.frozen and not self._asked(technique, t.op) and not isinstance(technique, Quantize):
                setting = Skip(f"{technique.name}: trainable=False (name the layer in `where` to treat it)")
            if isinstance(setting, Skip):
                left.append(setting.reason)
                continue
            for transform in technique.transforms(target, setting, self.seed):
                chain.add(transform)
            number = len(self.kernels[technique.name])
            self.kernels[technique.name].append(Kernel(f"{t.path}/{name}", chain, target.axes, setting, number))
            done.append(technique.action(target, setting))
        if chain.transforms:
            t.chains[name] = chain
        if done or left:
            self.rows.append(Row(t.path, name, "; ".join(done) if done else "; ".join(left), bool(done)))

    @staticmethod
    def _asked(technique, op) -> bool:
        """Whether the technique's `where` names layers, and this one among them."""
        return any(matches(op, key) for key in where(technique.where).layers)

    def _output_row(self, t: Treatment):
        if t.folds:
            self.rows.append(Row(t.path, "", "folded into the layer before it in the file"))
        names = [f"range ({type(s).__name__})" for s in t.outputs.values()] + (
            [f"fixed range {t.fixed}"] if t.fixed else []
        )
        if t.before is not None:
            names.insert(0, "range before its activation")
        if names:
            self.rows.append(Row(t.path, "", ", ".join(names)))
