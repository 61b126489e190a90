"""Makes the plan: what each technique does to each weight and activation, or why it does nothing."""

from dataclasses import dataclass, field

import keras
import numpy as np

from tfcompress.export.check import floats_inside, refused_parts
from tfcompress.export.unconvertible import NotConvertible
from tfcompress.fake_quant.op_plan import OpPlan, WeightChain
from tfcompress.fake_quant.range_requests import make_ranges
from tfcompress.fake_quant.state import CompressionState
from tfcompress.fake_quant.transforms.base import Transform
from tfcompress.file_formats import INT8
from tfcompress.graph.custom_code import find_custom_code
from tfcompress.graph.inside.opened import open_layers, operations
from tfcompress.graph.keras_private import layers_inside
from tfcompress.graph.plain_layers import is_quantized_by_keras
from tfcompress.graph.trace import open_up
from tfcompress.graph.tree import frozen_ids, leaves
from tfcompress.layer_table.lookup import has_weight, spec_of, weight
from tfcompress.quant_spec import QuantSpec
from tfcompress.selection import matches, unmatched, where
from tfcompress.session_layers.wrapping import is_wrapped
from tfcompress.techniques.base import Kernel, Skip, Target, Technique
from tfcompress.text.log import tell
from tfcompress.text.row_folding import OUTPUT, fold
from tfcompress.training.plan_inheritance import EarlierPlan
from tfcompress.validation import checks

_LONGEST = 15  # lines that a plan is printed in before training
_REMARKS = 3  # notes among them


@dataclass(frozen=True)
class Row:
    """One row of the plan: what happens to a weight or an output, or why nothing does.

    Args:
        layer: Path of the layer.
        weight: Path of the weight in it; "" for its output.
        action: What is done, or why nothing is.
        is_treated: Whether anything is done.
        left: Why further techniques leave a weight alone that others treat.
    """

    layer: str
    weight: str
    action: str
    is_treated: bool = True
    left: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is done and what is not, as the plan shows it."""
        return "; ".join([self.action if self.is_treated else f"- {self.action}", *(f"- {why}" for why in self.left)])


@dataclass
class Plan:
    """Says what each technique does to each weight and activation of a model.

    Args:
        rows: One per layer and weight, in graph order.
        state: The operation plans and variables that carry it out.
        kernels: Technique name to the weights that it treats.
        extras: Technique name to further layers with state that it needs.
        remarks: Further facts to know before training, one sentence each.
        new: Technique name to the weights that it did not treat in the plan before.
        choices: What every technique chose for every weight; equal choices make equal plans.
        placement: The operations and schemes that ranges were placed for, and the ranges.
    """

    rows: list[Row] = field(default_factory=list)
    state: CompressionState | None = None
    kernels: dict[str, list[Kernel]] = field(default_factory=dict)
    extras: dict[str, list[keras.layers.Layer]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    new: dict[str, list[Kernel]] = field(default_factory=dict)
    choices: tuple = ()
    placement: tuple | None = None

    def text(self) -> str:
        """Returns the plan as a table."""
        head = ("layer", "weight", "what is done, or why not")
        cells = [
            head,
            *((r.layer, r.weight or "(output)", r.text) for r in self.rows),
        ]
        wide = [max(len(c[k]) for c in cells) for k in range(2)]
        lines = [f"{a:<{wide[0]}}  {b:<{wide[1]}}  {c}" for a, b, c in cells]
        return "\n".join([*lines, *(f"Note: {remark}" for remark in self.remarks)])

    def brief(self) -> str:
        """Returns the plan in full if that is short, else by kind: what is done to how many weights and outputs."""
        whole = self.text()
        if whole.count("\n") < _LONGEST:
            return whole
        told = [f"Note: {remark}" for remark in self.remarks[:_REMARKS]]
        rows = ((r.layer, r.weight.split("/")[-1] or OUTPUT, r.text) for r in self.rows)
        unsaid = f" and {len(self.remarks) - len(told)} more notes" if len(self.remarks) > len(told) else ""
        lines = [*fold(rows, _LONGEST - len(told) - 1), *told, f"Every layer{unsaid}: print(compression.plan)"]
        return "\n".join(lines)

    def tell(self, verbose: int) -> None:
        """Prints the plan: nothing for 0, in brief for 1, in full for 2."""
        tell(self.text() if verbose > 1 else self.brief(), verbose)

    def __str__(self) -> str:
        """Returns the plan as a table."""
        return self.text()


def make_plan(
    model: keras.Model,
    techniques: list[Technique],
    seed: int = 0,
    can_cut: bool = False,
    before: Plan | None = None,
) -> Plan:
    """Plans what each technique does to a built model, and makes the state for it.

    The model is not changed.

    Args:
        model: A built model; Functional, Sequential or subclassed.
        techniques: The recipe.
        seed: Seed of the random numbers that techniques draw.
        can_cut: Whether shapes may change when training has ended.
        before: An earlier plan of the same model and techniques; the new one takes over its transforms and ranges,
            and if every technique still chooses the same, it is returned itself.

    Returns:
        The plan.

    Raises:
        ValueError: If a technique changes shapes that must stay, if no technique would treat anything, if an
            override names no layer, or if activations are to be quantized in a model whose graph can't be traced.
    """
    planner = _Planner(model, techniques, seed, can_cut, before)
    return before if before is not None and _same(before.choices, planner.choices) else planner.plan()


def _same(one, two) -> bool:
    try:
        return bool(one == two)
    except ValueError:  # settings of a user's technique whose == gives no single bool, such as arrays
        return False


def newly_trainable(plan: Plan, model: keras.Model) -> dict[str, list[str]]:
    """Returns by technique the layers that it left out because they were frozen, and that are trainable now."""
    still, found = frozen_ids(model), {}
    for path, op, *weights in plan.choices:
        for _, choices in weights:
            for name, setting, is_stopped in choices:
                if is_stopped and id(op) not in still and not isinstance(setting, Skip):
                    found.setdefault(name, []).append(path)
    return found


class _Planner:
    def __init__(self, model, techniques, seed, can_cut, before):
        self.model, self.seed, self.can_cut = model, seed, can_cut
        self.heritage = EarlierPlan(before)
        self.techniques = sorted(techniques, key=lambda t: t.order)
        open_up(model)
        self.leaves = operations(model)
        self.frozen = frozen_ids(model)
        self.own = find_custom_code(model)
        self.quantize = next((t for t in self.techniques if t.spec is not None), None)
        self.captured = {path for t in self.techniques for path in t.captured(model)}
        self.rows: list[Row] = []
        self.kernels: dict[str, list[Kernel]] = {t.name: [] for t in self.techniques}
        self.new: dict[str, list[Kernel]] = {t.name: [] for t in self.techniques}
        self.choices = tuple((path, op, *self._choices(path, op)) for path, op in self.leaves)

    def _choices(self, path, op) -> list:
        """Returns what every technique chooses for the weights of an operation."""
        spec = spec_of(op)
        targets = [Target(path, op, n, spec, WeightChain(n, weight(op, n)), False) for n in self._kernels(op)]
        return [(t.weight, [(x.name, x.setting(t), self._is_stopped(x, op)) for x in self._weighty]) for t in targets]

    @staticmethod
    def _kernels(op) -> list[str]:
        """Returns the kernels of an operation; a layer that is not in use has none."""
        return [name for name in spec_of(op).kernels if getattr(op, "built", True) or has_weight(op, name)]

    @property
    def _weighty(self) -> list[Technique]:
        """The techniques that transform weights."""
        return [t for t in self.techniques if t.treats_weights]

    def plan(self) -> Plan:
        self._refuse()
        placement = self._placement()
        placements, inputs = placement[1]
        plans = [self._op_plan(k, path, op, placements) for k, (path, op) in enumerate(self.leaves)]
        self._own_weights()
        extras = {t.name: self.heritage.extras(t, self.model) for t in self.techniques}
        state = CompressionState(
            [t for t in plans if t is not None],
            inputs,
            [e for made in extras.values() for e in made],
            [pair for t in self.techniques for pair in t.own_weights(extras[t.name])],
        )
        if (
            self.techniques
            and not any(r.is_treated for r in self.rows)
            and not any(t.adds_loss for t in self.techniques)
        ):
            raise ValueError(
                "Nothing in this model would be compressed.\n" + Plan(self.rows).text() + "\n"
                "Set `trainable = True` on what you want compressed, loosen `where`, or describe "
                "your layers (tfc.describe)."
            )
        remarks = [remark for t in self.techniques for remark in t.remarks(self.model)]
        return Plan(self.rows, state, self.kernels, extras, remarks, self.new, self.choices, placement)

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
        """Refuses a model that no file can hold, if the recipe quantizes; otherwise adds rows that say so."""
        refused = refused_parts(self.model, self.own.traced)
        if refused and self.quantize is not None:
            who = self.quantize.name
            raise NotConvertible(f"{who}: no .tflite file can hold a part of model {self.model.name!r}", refused)
        self.rows += [Row(r.layer or r.op, "*", f"no .tflite file can hold {r.op}: {r.remedy}", False) for r in refused]
        if not refused and self.quantize is not None and self.quantize.spec.activation_bits == INT8.activations.bits:
            self._say_floats()
        for path, names in self.own.draws.items():
            drawn = f"draws random numbers ({', '.join(names)}), of which an integer file holds one draw"
            self.rows.append(Row(path, "*", drawn, False))

    def _say_floats(self):
        left = {path for path, op in self.leaves if self._left_out(op)}
        for r in floats_inside(self.model, self.own.traced):
            if r.layer not in left:
                self.rows.append(Row(r.layer, "*", f"{r.op} stays float in an int8 file: {r.remedy}", False))

    # activations

    def _placement(self):
        """Returns the operations and schemes that ranges are placed for, the placements and the ranges of inputs."""
        spec = self.quantize.spec if self.quantize else None
        if spec is None or spec.activation_bits is None:
            return None, ({}, [])
        key = tuple((op, self._scheme(op), self._left_out(op)) for _, op in self.leaves)
        if (held := self.heritage.placement(key)) is not None:
            return key, held

        def make(span, op):
            setting = self._scheme(op) if op is not None else spec
            return self.heritage.range(self.quantize.activation_range(setting or spec, span.name, span.positive))

        return key, make_ranges(self.model, make, self._left_out, self.quantize.name)

    def _scheme(self, op) -> QuantSpec | None:
        return self.quantize.layer_spec(op)

    def _left_out(self, op) -> bool:
        scheme = self._scheme(op)
        return scheme is None or scheme.activation_bits is None or not self._is_chosen(op)

    def _is_chosen(self, op) -> bool:
        """Returns whether `where` selects a kernel of a layer; a layer without kernels counts as selected."""
        chosen, kernels = where(self.quantize.where), self._kernels(op)
        return not kernels or any(chosen(op, name, int(np.prod(weight(op, name).shape))) for name in kernels)

    # weights

    def _op_plan(self, index, path, op, placements) -> OpPlan | None:
        placement = placements.get(id(op))
        t = OpPlan.of(path, op, index, placement)
        spec = spec_of(op)
        for name in self._kernels(op):
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
        return t if t.chains or placement is not None or t.captures else None

    def _own_weights(self):
        """Adds a row for each matrix that a layer of unknown type reads in a way that is not known."""
        treated = {id(weight(op, n)) for _, op in self.leaves for n in self._kernels(op)}
        known = {id(v) for _, op in leaves(self.model) if spec_of(op).is_known for v in getattr(op, "variables", ())}
        listed = {id(op) for _, op in self.leaves}  # which have rows of their own
        for path, op in open_layers(self.model):
            if id(op) in listed:
                continue
            inside = {id(v) for layer in layers_inside(op) for v in layer.variables}
            own = [v for v in op.trainable_variables if id(v) not in treated | known | inside and len(v.shape) > 1]
            if own:
                names = ", ".join(dict.fromkeys(v.name for v in own))
                why = f"unknown layer type {type(op).__name__}: describe it with tfc.describe ({names} stays as it is)"
                self.rows.append(Row(path, "*", why, False))

    def _weight(self, t: OpPlan, spec, name):
        chain = WeightChain.of(t.op, name)
        chain.is_borrowed = id(chain.variable) in self.own.borrowed
        target = Target(t.path, t.op, name, spec, chain, t.norm is not None)
        done, left = [], []
        for technique in self._weighty:
            setting = technique.setting(target)
            if isinstance(setting, Skip):
                left.append(setting.reason)
                continue
            made = technique.transforms(target, setting, self.seed)
            checks.objects(technique.name, "transforms()", made, Transform, "tfc.Transform")
            held = self.heritage.transforms(t.op, name, made)
            if self._is_stopped(technique, t.op):
                left.append(self._stay(technique, chain, held))
                continue
            for new, old in zip(made, held, strict=True):
                chain.add(new if old is None else old)
            self._note_kernel(technique, target, setting, is_new=None in held)
            done.append(technique.action(target, setting))
        if chain.transforms:
            t.chains[name] = chain
        if done:
            self.rows.append(Row(t.path, name, "; ".join(done), left=tuple(left)))
        elif left:
            self.rows.append(Row(t.path, name, "; ".join(left), bool(chain.transforms)))

    def _is_stopped(self, technique, op) -> bool:
        """Returns whether a technique leaves a layer out because it is frozen."""
        return id(op) in self.frozen and not technique.treats_frozen and not self._asked(technique, op)

    @staticmethod
    def _stay(technique, chain, held) -> str:
        """Keeps the transforms of a weight that is frozen now, and returns the sentence that says so."""
        if not held or None in held:
            return f"{technique.name}: trainable=False (name the layer in `where` to include it)"
        for old in held:
            chain.add(old)
        return f"{technique.name}: trainable=False; the weight keeps the transforms that it has"

    def _note_kernel(self, technique, target, setting, is_new):
        number = len(self.kernels[technique.name])
        kernel = Kernel(f"{target.path}/{target.weight}", target.chain, target.axes, setting, number)
        self.kernels[technique.name].append(kernel)
        if is_new:
            self.new[technique.name].append(kernel)

    @staticmethod
    def _asked(technique, op) -> bool:
        """Returns whether the technique's `where` names this layer."""
        return any(matches(op, key) for key in where(technique.where).layers)

    def _output_row(self, t: OpPlan):
        if t.folds:
            self.rows.append(Row(t.path, "", "folded into the kernel beside it in the file"))
        names = [f"range ({s.shown_as})" for s in t.outputs.values()] + ([f"fixed range {t.fixed}"] if t.fixed else [])
        if t.before is not None:
            names.insert(0, "range before its activation")
        if names:
            self.rows.append(Row(t.path, "", ", ".join(names)))
