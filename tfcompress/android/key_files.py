"""Writes and reads key pairs: never overwritten, readable for their owner alone, and not inside a Gradle project."""

import os
import pathlib
from typing import TYPE_CHECKING

from tfcompress.android.secure import need_cryptography, new_key, public_der
from tfcompress.system.folder_lock import locked_folder, temporary_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey


def save_keys(folder: str | os.PathLike, passphrase: str = "") -> tuple[pathlib.Path, pathlib.Path]:
    """Makes a key pair and writes it: `private_key.pem` (PKCS 8, mode 600) and `public_key.der`.

    Args:
        folder: Made if it does not exist.
        passphrase: Encrypts the private key; empty leaves it plain.

    Returns:
        Paths of the private and of the public key.

    Raises:
        FileExistsError: If one of the files exists; a key that signed something is never overwritten.
        ValueError: If the folder lies in a Gradle project, where the key could be published by mistake.
        ModuleNotFoundError: If `cryptography` is not installed.
    """
    need_cryptography()
    from cryptography.hazmat.primitives import serialization

    folder = pathlib.Path(folder)
    private, public = folder / "private_key.pem", folder / "public_key.der"
    _refuse_project(folder)
    for path in (private, public):
        if path.exists():
            raise FileExistsError(f"{path} exists, and keys are not overwritten. Choose another folder.")
    key = new_key()
    hide = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hide)
    folder.mkdir(parents=True, exist_ok=True)
    with locked_folder(folder):
        _write_new(private, pem, 0o600)
        try:
            _write_new(public, public_der(key), 0o644)
        except OSError:
            private.unlink()
            raise
    return private, public


def load_key(path: str | os.PathLike, passphrase: str = "") -> "EllipticCurvePrivateKey":
    """Reads a private key that `save_keys` wrote.

    Args:
        path: A PEM file.
        passphrase: If the key is encrypted.

    Returns:
        The key of `cryptography`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no private key on P-256, or the passphrase is missing, wrong or not needed.
        ModuleNotFoundError: If `cryptography` is not installed.
    """
    need_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    content = pathlib.Path(path).read_bytes()
    try:
        key = serialization.load_pem_private_key(content, passphrase.encode() if passphrase else None)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: the private key cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"{path}: must be a private key on the curve P-256. Make one with `tfcompress keys new`.")
    return key


def _refuse_project(folder: pathlib.Path) -> None:
    for place in (folder.resolve(), *folder.resolve().parents):
        if (place / "settings.gradle.kts").exists() or (place / "settings.gradle").exists():
            raise ValueError(
                f"{folder} lies in the Gradle project {place.name}: a private key there is soon published with "
                "it. Choose a folder outside."
            )


def _write_new(path: pathlib.Path, content: bytes, mode: int) -> None:
    """Writes a file that must not exist yet, completely or not at all."""
    temporary, handle = temporary_file(path.parent, mode)
    try:
        with open(handle, "wb", closefd=False) as file:
            file.write(content)
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(content)
    finally:
        os.remove(temporary)
        os.close(handle)
