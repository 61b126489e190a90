"""`tfcompress slim`: makes a `.tflite` file smaller, with the same outputs."""

import os

from absl import flags

from tfcompress.cli.command import Command, define_seed


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", "", "File to write.", flag_values=values)
    flags.DEFINE_boolean(
        "channels", True, "Removes channels that are constant or unread, with their weights.", flag_values=values
    )
    flags.DEFINE_enum(
        "names", "io", ("io", "all"), "Names to keep: of inputs and outputs, or of all tensors.", flag_values=values
    )
    flags.DEFINE_enum(
        "metadata",
        "needed",
        ("needed", "all"),
        "What to keep besides the model: all but the converter's notes, or everything.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "proof",
        4,
        "Random inputs on which both files are compared; with 0 no channels are removed.",
        0,
        flag_values=values,
    )
    define_seed(values, "Seed of these inputs.")


def _run(values: flags.FlagValues, arguments: list[str]) -> int:
    from tfcompress.text.printable import inline
    from tfcompress.tflite.artifact import Artifact
    from tfcompress.tflite.optimizer.slim import slim

    original = Artifact.load(arguments[0])
    smaller = slim(
        original,
        channels=values.channels,
        names=values.names,
        metadata=values.metadata,
        proof=values.proof,
        seed=values.seed,
    )
    smaller.save(values.out)
    print(f"{os.path.basename(arguments[0])}: {original.size:,} bytes ({original.gzip_size:,} gzipped)")
    print(f"Wrote {values.out}: {smaller.size:,} bytes ({smaller.gzip_size:,} gzipped)")
    if smaller is original:
        print("Nothing could be taken out.")
    else:
        note = smaller.metadata["slim"][-1]
        print(f"{note['channels_removed']:,} channels and {note['operations_removed']:,} operations were taken out.")
        print(f"Proof: {inline(note['proof'])}.")
    return 0


COMMAND = Command(
    name="slim",
    summary="Makes any .tflite file smaller without changing any of its outputs.",
    arguments="FILE",
    least=1,
    most=1,
    detail="""
Drops names, calibration ranges, notes and everything unused, and stores equal constants, scales,
shapes and options once. In integer graphs it also removes channels that are provably constant (they
are folded into the biases that follow) and channels that are never read. No data is needed; the
outputs stay the same bit for bit, which is checked on --proof random inputs in a separate process;
no channel is removed from a file for which that can't be checked.
""",
    examples=(
        "tfcompress slim model.tflite --out=small.tflite",
        "tfcompress slim model.tflite --out=small.tflite --nochannels --names=all",
    ),
    define=_define,
    run=_run,
    required=("out",),
    words={"path": "out"},  # of Artifact.save
    place=7,
)
