"""`tfcompress keys new`: makes a key pair to sign models with."""

import pathlib

from absl import flags

from tfcompress.cli.command import Command, WrongUsage


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", "", "Folder for private_key.pem and public_key.der.", flag_values=values)
    flags.DEFINE_string(
        "passphrase_file", "", "File whose first line encrypts the private key; default: plain.", flag_values=values
    )


def _run(values: flags.FlagValues, arguments: list[str]) -> int:
    from tfcompress.android.key_files import save_keys

    if arguments != ["new"]:
        raise WrongUsage(f"the only action is 'new': tfcompress keys new. Received: {arguments[0]!r}.")
    passphrase = ""
    if values.passphrase_file:
        passphrase = pathlib.Path(values.passphrase_file).read_text(encoding="utf-8").partition("\n")[0].strip("\r")
        if not passphrase:
            raise ValueError(f"{values.passphrase_file}: the first line must be the passphrase, and is empty.")
    private, public = save_keys(values.out, passphrase)
    state = "encrypted" if passphrase else "NOT encrypted"
    print(f"Wrote {private} (for you alone, {state}; keep it out of every repository) and {public}.")
    return 0


COMMAND = Command(
    name="keys",
    summary="Makes a key pair to sign models for an app.",
    arguments="new",
    least=1,
    most=1,
    detail="""
The private key (ECDSA on the curve P-256, PKCS 8, readable for its owner alone) signs: tfcompress android --key. The
public key is compiled into the app. Files that exist are never overwritten, and a folder in a Gradle project is
refused.
""",
    examples=(
        "tfcompress keys new --out ~/keys/demo",
        "tfcompress keys new --out ~/keys/release --passphrase_file word.txt",
    ),
    define=_define,
    run=_run,
    required=("out",),
    place=10,
)
