"""What `coverage.py` measures of one net: a function a phase, `(name) -> the columns it fills`."""

import time
import warnings

import numpy as np

MODES = ("float32", "float16", "dynamic", "int16x8")
# Text that only TensorFlow writes; a message of ours may quote it behind its own.
RAW = ("tf.", "tfl.", "READ_VARIABLE", "mlir", "ConverterError", "untracked", "assert", "delegate", "<unknown>:0")
# The same of LiteRT, behind words of ours that name no layer.
RUNTIME = ("The runtime cannot load this file", "not a .tflite file that can be")
TURNS, LONGEST = 4, 150.0  # of the time phase; the first turn warms up, and turns end when they took so many seconds
CLUSTERS = 16


def built(name, seed=0):
    """Returns a net with shaken weights and statistics, and its samples."""
    import keras
    from nets import NETS
    from shaken_norms import shake_constants, shake_norms

    keras.backend.clear_session()  # so that layers are named alike in every phase
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model, x = NETS[name](rng)
    shake_constants(model, np.random.default_rng(seed + 1), 0.1)
    shake_norms(model, x, rng, 0.2, 0.6, 1.4)
    return model, x


def worst_error(got, wanted) -> float:
    """Error of the worst output, as a fraction of its spread."""
    errors = []
    for a, b in zip(got, wanted, strict=True):
        a, b = np.asarray(a, np.float64).reshape(np.shape(b)), np.asarray(b)
        if b.dtype.kind != "f":
            errors.append(float(np.mean(a != b)))
            continue
        rows = b.astype(np.float64).reshape(-1, b.shape[-1])
        spread = np.sqrt(np.mean(rows.var(axis=0))) or 1.0
        errors.append(float(np.sqrt(np.mean((a - b) ** 2)) / spread))
    return max(errors)


def answers(model, x):
    """Outputs of the float model, flat."""
    import keras

    return [np.asarray(y) for y in keras.tree.flatten(model.predict(x, verbose=0))]


def of_file(artifact, x, model):
    """Outputs of a file in the model's order."""
    got = artifact.predict(x)
    if not isinstance(got, dict):
        return [got]
    names = list(getattr(model, "output_names", []))
    return [got[n] for n in names] if set(names) == set(got) else list(got.values())


def text_of(error) -> str:
    """One line of an error."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:240]}"


def is_raw(error) -> bool:
    """Whether a message is TensorFlow's own text, or no error class of ours or Python's ValueError."""
    head = " ".join(str(error).split())[:80]
    return not isinstance(error, ValueError | TypeError) or any(word in head for word in (*RAW, *RUNTIME))


def build(name) -> dict:
    """Builds the net and runs it on its samples."""
    model, x = built(name)
    finite = all(np.isfinite(y).all() for y in answers(model, x) if y.dtype.kind == "f")
    return {"parameters": model.count_params(), "build": "PASS" if finite else "FAIL: outputs are not finite"}


def integer_file(model, x):
    """Converts to int8 and returns the file, what was allowed to stay float, and what was said.

    Of a refusal the remedy it names is tried: the operations allowed to stay float, then each mode in its text.
    """
    import tfcompress as tfc

    try:
        artifact = tfc.convert(model, calibration=x)
        return artifact, None, "PASS" if artifact.is_integer else "FAIL: float operations and no error"
    except tfc.NotFullyInteger as error:
        names = sorted({f.op for f in error.float_ops})
        artifact = tfc.convert(model, calibration=x, allow_float=names)  # its error has this one as its context
        return artifact, {"allow_float": names}, f"refused; allow_float={names} works: {text_of(error)}"
    except ValueError as error:
        if is_raw(error):
            raise
        for mode in (m for m in ("int16x8", "dynamic", "float16") if m in str(error)):
            try:
                artifact = tfc.convert(model, mode, calibration=x)
            except Exception:
                continue
            return artifact, {"mode": mode}, f"refused; mode={mode!r} works: {text_of(error)}"
        raise


def refusal_before(error) -> list:
    """The refusal whose remedy ended in an error, if it was one."""
    import tfcompress as tfc

    before = error.__context__
    while before is not None and not isinstance(before, tfc.NotFullyInteger):
        before = before.__context__
    return [before] if before is not None else []


def int8(name) -> dict:
    """Converts, follows the remedy of a refusal, and compares with the float model."""
    model, x = built(name)
    began = time.perf_counter()
    try:
        artifact, way, result = integer_file(model, x)
    except Exception as error:
        texts = [text_of(e) for e in (*refusal_before(error), error)]
        return {"int8": f"refused: {'; then '.join(texts)}", "raw": is_raw(error)}
    seconds = time.perf_counter() - began
    error = worst_error(of_file(artifact, x, model), answers(model, x))
    gap = artifact.metadata.get("parity", [{}])[0].get("largest_gap")
    row = {"int8": result, "way": way, "error": error, "gap": gap, "seconds": seconds}
    return row | {"verdict": artifact.verdict(), "bytes": artifact.size}


def frozen(model):
    """The concrete function of a model at batch 1, its variables as constants: what the stock converter is given."""
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from tfcompress.graph.keras_private import input_specs

    structure = input_specs(model, batch=1)

    def call(*tensors):
        outputs = model(keras.tree.pack_sequence_as(structure, list(tensors)), training=False)
        return keras.tree.flatten(outputs)

    specs = keras.tree.flatten(structure)
    return convert_variables_to_constants_v2(tf.function(call).get_concrete_function(*specs))


def stock_file(model, x) -> bytes:
    """TFLiteConverter's int8 file from the same samples."""
    import keras
    import tensorflow as tf

    from tfcompress.system.silence import quiet

    rows = [np.asarray(a) for a in keras.tree.flatten(x)]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen(model)])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([a[k : k + 1] for a in rows] for k in range(len(rows[0])))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    with quiet():
        return converter.convert()


def guide_file(model, x) -> bytes:
    """TFLiteConverter's int8 file as TensorFlow's guide has it: the Keras model goes through a SavedModel."""
    import keras
    import tensorflow as tf

    from tfcompress.graph.keras_private import input_specs
    from tfcompress.system.silence import quiet

    names = [s.name for s in keras.tree.flatten(input_specs(model))]
    rows = [np.asarray(a) for a in keras.tree.flatten(x)]

    def sample(k):
        one = [a[k : k + 1] for a in rows]
        return one if len(one) == 1 else dict(zip(names, one, strict=True))

    with quiet():
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: map(sample, range(len(rows[0])))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
        return converter.convert()


def stock(name) -> dict:
    """Error and float operations of the stock converter's file."""
    import keras
    from ai_edge_litert.interpreter import Interpreter  # the runtime of our files; TensorFlow's own errs on mixed files

    from tfcompress.tflite.artifact import Artifact

    model, x = built(name)
    rows = [np.asarray(a) for a in keras.tree.flatten(x)]
    try:
        content = stock_file(model, x)
        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
    except Exception as error:
        return {"stock_failed": text_of(error)}
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    order = sorted(range(len(inputs)), key=lambda k: inputs[k]["index"])
    found = [[] for _ in outputs]
    for k in range(len(rows[0])):
        for place, at in enumerate(order):
            interpreter.set_tensor(inputs[at]["index"], rows[place][k : k + 1].astype(inputs[at]["dtype"]))
        interpreter.invoke()
        for number, detail in enumerate(outputs):
            found[number].append(interpreter.get_tensor(detail["index"]))
    got, wanted = [np.concatenate(f) for f in found], answers(model, x)
    if len(got) > 1:  # the stock file may list outputs in another order
        got = [min(got, key=lambda g, w=w: worst_error([g], [w]) if g.size == w.size else 1e9) for w in wanted]
    return {"stock": worst_error(got, wanted), "stock_float": len(Artifact(content).float_ops())}


def modes(name) -> dict:
    """Converts in every other mode."""
    import tfcompress as tfc

    model, x = built(name)
    wanted = answers(model, x)
    found, raw = {}, False
    for mode in MODES:
        try:
            found[mode] = worst_error(of_file(tfc.convert(model, mode, calibration=x), x, model), wanted)
        except Exception as error:
            found[mode] = text_of(error)
            raw |= is_raw(error)
    return {"modes": found, "raw_modes": raw}


def seconds(name) -> dict:
    """Times three converters in turns, in one process, and returns the medians without the first turn.

    They are ours with its comparison, without the search for the layer of a loss, which nets of random weights start
    far more often than trained ones; TensorFlow's on the frozen function; and TensorFlow's as its guide has it.
    """
    import tfcompress as tfc

    model, x = built(name)
    try:
        way = integer_file(model, x)[1] or {}
    except Exception as error:
        return {"time_failed": text_of(error)}
    arms = {
        "time": lambda: tfc.convert(model, calibration=x, diagnose=False, **way),
        "stock_time": lambda: stock_file(model, x),
        "guide_time": lambda: guide_file(model, x),
    }
    taken, failed, began = {arm: [] for arm in arms}, {}, time.perf_counter()
    for turn in range(TURNS):
        if turn > 1 and time.perf_counter() - began > LONGEST:
            break
        for arm, work in arms.items():
            start = time.perf_counter()
            try:
                work()
                taken[arm].append(time.perf_counter() - start)
            except Exception as error:
                failed[f"{arm}_failed"] = text_of(error)
    return {arm: float(np.median(t[1:])) for arm, t in taken.items() if t[1:]} | failed


def fit(name) -> dict:
    """Prunes, clusters and quantizes in a fit of two steps; the laws are read off the kernels and the file."""
    import keras

    import tfcompress as tfc

    model, x = built(name)
    outputs = model.predict(x, verbose=0)
    flat = keras.tree.flatten(outputs)
    if any(w.dtype.kind != "f" for w in flat):
        return {"fit": "no loss for integer outputs"}
    loss = keras.tree.map_structure(lambda _: "mse", outputs)
    model.compile("sgd", loss, jit_compile=False)
    model.optimizer.learning_rate = 1e-3
    recipe = [tfc.Prune(0.5), tfc.Cluster(CLUSTERS), tfc.Quantize("int8")]
    compression = tfc.Compression(recipe, verbose=0)
    try:
        model.fit(x, outputs, epochs=1, batch_size=-(-len(flat[0]) // 2), verbose=0, callbacks=[compression])
    except ValueError as error:
        return {"fit": f"refused: {text_of(error)}", "raw_fit": is_raw(error)}
    kernels = treated(compression)
    broken = broken_laws(kernels, compression)
    try:
        artifact = compression.convert(calibration=x)
    except ValueError as error:
        text = f"trained, {len(kernels)} kernels, {broken or 'laws held'}; then {text_of(error)}"
        return {"fit": text, "raw_fit": is_raw(error)}
    broken += broken_file({p: k for p, k in kernels.items() if p not in unread(model, compression)}, artifact)
    gap = artifact.metadata["parity"][0]["largest_gap"] if "parity" in artifact.metadata else float("nan")
    state = "FAIL" if broken else "PASS" if artifact.is_integer else "FAIL: float operations"
    return {"fit": " ".join([state, f"{len(kernels)} kernels, gap {gap:.1f}", *broken])}


def treated(compression) -> dict[str, np.ndarray]:
    """The weights that were pruned and clustered, by their number and path: paths alone may occur twice."""
    found = {}
    for number, chain in enumerate(compression.state.chains()):
        if {"Mask", "Centroids"} <= {type(t).__name__ for t in chain.transforms}:
            found[f"{number} {chain.variable.path}"] = np.asarray(chain.variable)
    return found


def unread(model, compression) -> set[str]:
    """The weights, named as by `treated`, of layers that no output of the model depends on; no file holds them."""
    from tfcompress.graph.trace import trace

    traced = trace(model, opens=True)
    needed, alive = set(traced.outputs), set()
    for call in reversed(traced.calls):
        if needed & set(call.outputs):
            needed |= set(call.inputs)
            held = getattr(call.op, "weights", [])  # those of a single operation go by argument
            alive |= {id(v) for v in (held.values() if isinstance(held, dict) else held)}
    chains = enumerate(compression.state.chains())
    return {f"{number} {chain.variable.path}" for number, chain in chains if id(chain.variable) not in alive}


def broken_laws(kernels, compression) -> list[str]:
    """What training left undone: too few zeros, too many values, weights that `finish` still changes."""
    broken = []
    for path, kernel in kernels.items():
        if np.count_nonzero(kernel == 0) < round(0.5 * kernel.size):
            broken.append(f"{path}: fewer than half are zero")
        if np.unique(kernel).size > CLUSTERS + 1:
            broken.append(f"{path}: {np.unique(kernel).size} values")
    compression.finish()
    after = treated(compression)
    return broken + [f"{p}: changed by finish" for p, k in kernels.items() if not np.array_equal(k, after[p])]


def broken_file(kernels, artifact) -> list[str]:
    """What the file lost: zeros, or shared values; each output channel may have one code for each of them."""
    sizes = {k.size for k in kernels.values()}
    layers = {path.split(" ", 1)[-1].rsplit("/", 1)[0] for path in kernels}
    filed = {n: k for n, k in artifact.kernels().items() if k.size in sizes and n.rsplit("/", 1)[0] in layers}

    def most(kernel, axis):
        return max(np.unique(part).size for part in np.moveaxis(kernel, axis, 0))

    broken = [f"{n}: off the grid" for n, k in filed.items() if min(most(k, 0), most(k, -1)) > CLUSTERS + 1]
    read = {p: k for p, k in kernels.items() if not p.endswith("embeddings")}  # tables are no kernels of the file
    zeros, held = (sum(int((k == 0).sum()) for k in each.values()) for each in (artifact.kernels(), read))
    return broken + ([f"of {held} zeros {zeros} are in the file"] if zeros < held else [])


def channels(name) -> dict:
    """Cuts a third of the channels and compares with the model in which nobody reads them."""
    import tfcompress as tfc
    from tfcompress.channels.dependency import groups
    from tfcompress.channels.shrink import shrink, zeroed
    from tfcompress.techniques.protocol.own_layers import flat_copy

    model, x = built(name)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            small = tfc.PruneChannels(0.3, round_to=1).apply(model)
        model = flat_copy(model, "coverage")[0]  # what PruneChannels cuts
        found = groups(model)
    except ValueError as error:
        return {"channels": f"refused: {text_of(error)}", "raw_channels": is_raw(error)}
    frozen_groups = {path: f"{why}, at {who}" for path, (who, why) in found.kept().items()}
    row = {"frozen": frozen_groups, "cut_to": small.count_params(), "cut_from": model.count_params()}
    if small.count_params() == model.count_params():
        said = [str(w.message) for w in told if "cut nothing" in str(w.message)]
        return row | {"channels": f"nothing cut: {said[0][:200]}" if said else "UNCHANGED without a word"}
    dead = found.groups[:: max(len(found.groups) // 3, 2)]
    try:
        a, b = answers(shrink(model, found, dead), x), answers(zeroed(model, found, dead), x)
        gap = max(np.abs(p - q).max() / max(np.abs(q).max(), 1e-9) for p, q in zip(a, b, strict=True))
        exact = f"{'exact' if gap < 1e-4 else 'DIFFERS'} {gap:.0e}"
    except ValueError as error:
        exact = f"not compared ({text_of(error)[:120]})"
    return row | {"channels": f"{model.count_params()}->{small.count_params()}, {exact}, {len(frozen_groups)} kept"}


PHASES = {
    "build": build,
    "int8": int8,
    "stock": stock,
    "modes": modes,
    "time": seconds,
    "fit": fit,
    "channels": channels,
}


def measured(name: str, phase: str) -> dict:
    """Measures one phase of one net; an error becomes its result."""
    try:
        return PHASES[phase](name)
    except Exception as error:
        return {phase: f"RAW {text_of(error)}", f"raw_{phase}": True}
