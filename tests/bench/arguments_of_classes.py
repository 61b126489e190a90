"""Every public class: arguments that fit, and what is sense for each argument."""

from argument_kinds import (
    ABOVE,
    AT_LEAST_0,
    CLOSED,
    INNER,
    RAMP,
    SEED,
    SHARE,
    VERBOSE,
    flag,
    function,
    is_int,
    keys,
    never,
    optional,
    overrides,
    real,
    samples,
    text,
    texts,
    where,
    whole,
    word,
)

import tfcompress as tfc
from tfcompress.schedules.tfmot import Called, Gated


def constructors():
    """Name -> (callable, arguments that fit, kinds of arguments)."""
    s = tfc.schedules
    ramp = {"start": 0.0, "end": 0.8}
    techniques = {"where": where}
    return {
        "Prune": (
            tfc.Prune,
            {"sparsity": 0.5},
            {
                "sparsity": SHARE,
                "l1": AT_LEAST_0,
                "seed": SEED,
                "scope": word("layer", "global"),
                "criterion": word("magnitude"),
                "pattern": word("unstructured"),
                "rewind": optional(real(lambda v: 0 <= v < 0.5)),
                "overrides": overrides(SHARE),
                **techniques,
            },
        ),
        "Prune(threshold)": (
            tfc.Prune,
            {"threshold": 0.1},
            {
                "threshold": AT_LEAST_0,
                "overrides": overrides(AT_LEAST_0),
            },
        ),
        "Cluster": (
            tfc.Cluster,
            {},
            {
                "clusters": whole(2, 256),
                "start": word("linear"),
                "per_channel": flag,
                "keep_zeros": flag,
                "begin": CLOSED,
                "seed": SEED,
                "overrides": overrides(whole(2, 256)),
                **techniques,
            },
        ),
        "Quantize": (
            tfc.Quantize,
            {},
            {
                "scheme": word("int8"),
                "ranges": optional(word("moving")),
                "per_channel": optional(flag),
                "overrides": overrides(word("int8")),
                **techniques,
            },
        ),
        "Distill": (
            tfc.Distill,
            {"teacher": "t.keras"},
            {
                "teacher": lambda v: text(v) or isinstance(v, list | tuple) and len(v) > 0 and all(map(text, v)),
                "temperature": ABOVE,
                "alpha": CLOSED,
                "weights": lambda v: v is None or isinstance(v, list) and v == [1],
                "features": lambda v: isinstance(v, list | tuple) and not len(v),
                "feature_weight": AT_LEAST_0,
                "answers": optional(word("softmax")),
                "seed": SEED,
                "where": lambda v: v is None,
                "overrides": lambda v: v is None,
            },
        ),
        "PruneChannels": (
            tfc.PruneChannels,
            {"amount": 0.5},
            {
                "amount": SHARE,
                "criterion": word("l1"),
                "scope": word("global"),
                "round_to": whole(1, 2**16),
                "steps": whole(1, 1000),
                "mode": word("int8"),
                "overrides": overrides(),
                **techniques,
            },
        ),
        "PruneChannels(macs)": (
            tfc.PruneChannels,
            {"macs": 0.5},
            {
                "macs": ABOVE,
            },
        ),
        "PruneChannels(parameters)": (
            tfc.PruneChannels,
            {"parameters": 0.5},
            {
                "parameters": ABOVE,
            },
        ),
        "PruneChannels(latency)": (
            tfc.PruneChannels,
            {"latency": 0.5},
            {
                "latency": ABOVE,
            },
        ),
        "PruneChannels(schedule)": (
            tfc.PruneChannels,
            {"schedule": 0.5},
            {
                "schedule": SHARE,
            },
        ),
        "MergeChannels": (
            tfc.MergeChannels,
            {"amount": 0.5},
            {
                "amount": SHARE,
                "similarity": word("cosine"),
                "scope": word("layer"),
                "overrides": overrides(SHARE),
                **techniques,
            },
        ),
        "MergeChannels(threshold)": (
            tfc.MergeChannels,
            {"threshold": 0.5},
            {
                "threshold": real(lambda v: 0 < v <= 1),
            },
        ),
        "LowRank": (
            tfc.LowRank,
            {"rank": 4},
            {
                "rank": whole(1, 2**24),
                "method": lambda v: v is None or texts(v) and not len(list(v)),
                "scope": word("layer"),
                "overrides": overrides(whole(1, 2**24)),
                **techniques,
            },
        ),
        "LowRank(energy)": (
            tfc.LowRank,
            {"energy": 0.5},
            {
                "energy": real(lambda v: 0 < v <= 1),
            },
        ),
        "LowRank(macs)": (
            tfc.LowRank,
            {"macs": 0.5},
            {
                "macs": INNER,
            },
        ),
        "LowRank(error)": (
            tfc.LowRank,
            {"error": 0.5},
            {
                "error": INNER,
            },
        ),
        "DropLayers": (
            tfc.DropLayers,
            {"amount": 1},
            {
                "amount": lambda v: whole(1, 10**6)(v) or not is_int(v) and INNER(v),
                "measure": optional(word("loss")),
                "what": word("both"),
                "overrides": overrides(),
                **techniques,
            },
        ),
        "DropLayers(budget)": (
            tfc.DropLayers,
            {"budget": 1},
            {
                "budget": AT_LEAST_0,
            },
        ),
        "DropLayers(names)": (
            tfc.DropLayers,
            {"names": "a"},
            {
                "names": lambda v: texts(v) and (isinstance(v, str) or len(list(v)) > 0),
            },
        ),
        "Fold": (
            tfc.Fold,
            {},
            {
                "overrides": overrides(lambda v: v is True),
                **techniques,
            },
        ),
        "Equalize": (
            tfc.Equalize,
            {},
            {
                "relu6": flag,
                "bias_correction": flag,
                "bits": whole(2, 16),
                "per_channel": flag,
                "smooth": optional(real(lambda v: 0 <= v <= 1)),
                "overrides": overrides(lambda v: v is True),
                **techniques,
            },
        ),
        "QuantSpec": (
            tfc.QuantSpec,
            {},
            {
                "weight_bits": optional(whole(2, 16)),
                "activation_bits": optional(whole(2, 16)),
                "symmetric_weights": flag,
                "symmetric_activations": flag,
                "per_channel": lambda v: flag(v) or v == "auto",
                "ranges": word("moving"),
                "momentum": SHARE,
                "percentile": real(lambda v: 50 < v <= 100),
            },
        ),
        "Where": (
            tfc.Where,
            {},
            {
                "layers": keys,
                "skip": keys,
                "weights": keys,
                "min_size": whole(0, 2**62),
                "condition": optional(function),
            },
        ),
        "LayerSpec": (
            tfc.LayerSpec,
            {},
            {
                "axes": lambda v: v in ({}, {"a": "x"}),
                "flow": text,
                "width": optional(text),
                "resize": optional(callable),
                "kernels": texts,
                "grid": word("own"),
                "fixed": lambda v: v is None,
                "pushes": flag,
                "float_ops": texts,
                "inner": texts,
                "step": flag,
                "affine": flag,
                "written": optional(callable),
                "inside": texts,
                "is_linear": flag,
                "is_homogeneous": flag,
                "is_positive": flag,
                "is_identity": flag,
                "is_sum": flag,
                "is_quotient": flag,
                "is_trailing": flag,
                "pads_zeros": flag,
                "affine_commutes": flag,
                "repeats_channels": flag,
                "scale_and_shift": optional(callable),
                "count_macs": optional(callable),
            },
        ),
        "Constant": (
            s.constant,
            {"level": 0.5},
            {
                "level": real(),
            },
        ),
        "Linear": (s.linear, ramp, RAMP),
        "Cosine": (s.cosine, ramp, RAMP),
        "Polynomial": (
            s.polynomial,
            ramp,
            {
                **RAMP,
                "power": ABOVE,
            },
        ),
        "Exponential": (
            s.exponential,
            ramp,
            {
                **RAMP,
                "rate": real(lambda v: 1e-9 <= abs(v) <= 700),
            },
        ),
        "Linear(steps)": (
            s.linear,
            {**ramp, "unit": "steps", "stop": 2**53},
            {
                "begin": real(lambda v: 0 <= v <= 2**53 and v == int(v)),
                "unit": never,
            },
        ),
        "Steps": (
            s.steps,
            {"values": {0.5: 0.5}},
            {
                "values": lambda v: v in ({1: 2}, [(1, 2)]),
                "start": real(),
                "unit": word("fraction"),
            },
        ),
        "Gated": (
            Gated,
            {"inner": s.constant(0.5)},
            {
                "inner": never,
                "begin": whole(0, 2**53),
                "end": optional(whole(0, 2**53)),
                "frequency": whole(1, 2**53),
            },
        ),
        "Called": (
            Called,
            {},
            {
                "source": never,
            },
        ),
        "schedule": (
            s.schedule,
            {},
            {
                "value": real(),
            },
        ),
        "Recipe": (
            tfc.Recipe,
            {},
            {
                "techniques": lambda v: hasattr(v, "__iter__") and not len(list(v)),
            },
        ),
        "Compression": (
            tfc.Compression,
            {"techniques": []},
            {
                "calibration": optional(samples),
                "update_every": optional(whole(1, 2**53)),
                "learning_rate": AT_LEAST_0,
                "seed": SEED,
                "verbose": VERBOSE,
            },
        ),
    }
