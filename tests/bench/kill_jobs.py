"""Jobs that write again and again until somebody kills them; `tests/bench/kill.py` does, at random moments.

python tests/bench/kill_jobs.py JOB FOLDER
"""

import itertools
import pathlib
import sys

MODELS = pathlib.Path(__file__).parents[2] / "models" / "mnist"
EPOCHS = 12


def begin():
    """Tells the parent that writing begins."""
    print("ready", flush=True)


def save(folder):
    """One artifact after the other to the same path."""
    from tfcompress.tflite.artifact import Artifact

    content = (MODELS / "int8_qat.tflite").read_bytes()
    begin()
    for k in itertools.count():
        made = Artifact(content + bytes(k % 7), {"bytes": len(content) + k % 7, "filler": "x" * 200_000})
        made.save(folder / "m.tflite")


def net():
    """A small model with data, and what compresses it."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(64, activation="relu"), keras.layers.Dense(4)]
    model = keras.Sequential([keras.Input((16,)), *layers])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(256, 16)).astype("float32")
    return model, x, x[:, :4]


def convert(folder):
    """Conversion and save of one model in two modes."""
    import tfcompress as tfc

    model, x, _ = net()
    begin()
    for mode in itertools.cycle(("int8", "dynamic")):
        artifact = tfc.convert(model, mode, x)
        artifact.metadata["bytes"] = artifact.size
        artifact.save(folder / "m.tflite")


def compression(folder):
    """`Compression.save` after each of many short trainings."""
    import tfcompress as tfc

    model, x, y = net()
    made = tfc.Compression([tfc.Prune(0.5), tfc.Cluster(8), tfc.Quantize("int8")], verbose=0)
    model.fit(x, y, epochs=1, verbose=0, callbacks=[made])
    begin()
    while True:
        made.save(folder / "m.tfc")
        made.recipe.save(folder / "recipe.json")


def split(folder):
    """A chain of three files, two forms of it in turn."""
    import tfcompress as tfc

    model, x, _ = net()
    chains = [tfc.split(model, parts=2).convert(x), tfc.split(model, parts=2).convert(mode="float32")]
    begin()
    for chain in itertools.cycle(chains):
        chain.save(folder / "chain")


def fit(folder):
    """A training that goes on where a backup says; each finished epoch is a line in `epochs`."""
    import keras

    import tfcompress as tfc

    model, x, y = net()
    made = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    # double_checkpoint: Keras writes the backup in place, and a kill may cut it off; then it takes the one before
    backup = keras.callbacks.BackupAndRestore(folder / "backup", double_checkpoint=True, delete_checkpoint=False)

    class Log(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            with open(folder / "begun", "a") as file:
                file.write(f"{epoch} {made.clock.step}\n")

        def on_epoch_end(self, epoch, logs=None):
            with open(folder / "epochs", "a") as file:
                file.write(f"{epoch}\n")

    begin()
    model.fit(x, y, batch_size=8, epochs=EPOCHS, verbose=0, callbacks=[made, backup, Log()])
    artifact = made.convert()
    artifact.metadata["bytes"] = artifact.size
    artifact.save(folder / "m.tflite")
    (folder / "done").touch()


def android(folder):
    """The command that writes the assets of the app."""
    from tfcompress.cli import main

    begin()
    key = f"--key={folder / 'keys' / 'private_key.pem'}"
    flags = ["--nolatency", "--limit=20", "--verbose=0", f"--public_key={folder / 'key.der'}"]
    main(["tfcompress", "android", f"--models={MODELS}", f"--out={folder / 'models'}", key, *flags])


def demo(folder):
    """The main job, small."""
    from tfcompress.cli import main

    begin()
    main(["tfcompress", "demo", "--effort=0.01", f"--out={folder / 'demo'}", "--verbose=0"])


if __name__ == "__main__":
    globals()[sys.argv[1]](pathlib.Path(sys.argv[2]))
