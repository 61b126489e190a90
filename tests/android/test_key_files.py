"""Keys are written once, for their owner, outside of projects, and read back."""

import stat

import pytest

from tfcompress.android import secure
from tfcompress.android.key_files import load_key, save_keys


@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_keys_are_stored_for_their_owner_and_read_again(tmp_path, passphrase):
    private, public = save_keys(tmp_path / "new", passphrase)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert (b"ENCRYPTED" in private.read_bytes()) == bool(passphrase)
    key = load_key(private, passphrase)
    assert secure.public_der(key) == public.read_bytes()
    secure.verify(b"model", secure.sign(b"model", key), public.read_bytes())
    with pytest.raises(ValueError, match="private_key.pem: the private key cannot be read"):
        load_key(private, "" if passphrase else "too much")


def test_keys_are_never_overwritten(tmp_path):
    private, public = save_keys(tmp_path)
    before = private.read_bytes(), public.read_bytes()
    for gone in (None, private, public):
        if gone is not None:
            gone.unlink()
        with pytest.raises(FileExistsError, match="not overwritten"):
            save_keys(tmp_path)
        if gone is not None:
            gone.write_bytes(before[(private, public).index(gone)])
    assert (private.read_bytes(), public.read_bytes()) == before


def test_keys_stay_out_of_a_gradle_project(tmp_path):
    (tmp_path / "settings.gradle.kts").touch()
    with pytest.raises(ValueError, match="Gradle project"):
        save_keys(tmp_path / "app" / "keys")
    assert [path.name for path in tmp_path.iterdir()] == ["settings.gradle.kts"]


def test_a_key_of_another_kind_is_refused(tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP384R1())
    how = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "other.pem").write_bytes(key.private_bytes(*how))
    with pytest.raises(ValueError, match="other.pem: must be a private key on the curve P-256"):
        load_key(tmp_path / "other.pem")
    with pytest.raises(FileNotFoundError):
        load_key(tmp_path / "none.pem")
