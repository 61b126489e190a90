"""Signatures and ciphertexts: what was made is accepted, whatever differs by a bit is not."""

import base64
import functools
import os
import subprocess
import sys

import numpy as np
import pytest

from tfcompress.android import secure
from tfcompress.android.secure import DecryptionError, IntegrityError, SignatureError

FEW = secure.ACCEPTED_ITERATIONS[0]


@pytest.fixture(scope="module")
def key():
    return secure.new_key()


@pytest.fixture
def cached(monkeypatch):
    """The same derivation of keys, computed once for the same passphrase and salt: faults are tried by the hundred."""
    monkeypatch.setattr(secure, "derive_key", functools.cache(secure.derive_key))


def test_a_signature_holds_for_its_bytes_and_key_alone(key):
    public, signature = secure.public_der(key), secure.sign(b"model", key)
    assert len(public) == 91
    secure.verify(b"model", signature, public)
    for content, sign, with_key in (
        (b"model ", signature, public),
        (b"", signature, public),
        (b"model", signature[:-1], public),
        (b"model", b"", public),
        (b"model", signature, secure.public_der(secure.new_key())),
    ):
        with pytest.raises(SignatureError, match="does not belong"):
            secure.verify(content, sign, with_key)


def test_every_bit_of_a_signature_counts(key):
    public, signature = secure.public_der(key), secure.sign(b"model", key)
    for place in range(len(signature)):
        for bit in range(8):
            changed = bytearray(signature)
            changed[place] ^= 1 << bit
            with pytest.raises(SignatureError):
                secure.verify(b"model", bytes(changed), public)


def test_other_public_keys_are_refused():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    layout = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    for stranger in (ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()):
        with pytest.raises(ValueError, match="P-256"):
            secure.verify(b"", b"", stranger.public_key().public_bytes(*layout))
    with pytest.raises(ValueError, match="SubjectPublicKeyInfo"):
        secure.verify(b"", b"", b"no key")


@pytest.mark.parametrize("passphrase", ["tfcompress-demo", "密码", "x"])
def test_what_is_encrypted_is_decrypted(passphrase):
    plain = os.urandom(1000)
    cipher, header = secure.encrypt(plain, passphrase, "tfcompress:1:a", FEW)
    assert len(cipher) == len(plain) + 16 and plain[:16] not in cipher
    assert secure.decrypt(cipher, header, passphrase) == plain
    with pytest.raises(DecryptionError, match="passphrase is wrong"):
        secure.decrypt(cipher, header, passphrase + " ")


def test_nothing_random_is_used_twice():
    made = [secure.encrypt(b"same", "same", "same", FEW) for _ in range(3)]
    for pick in (lambda m: m[0], lambda m: m[1]["nonce"], lambda m: m[1]["kdf"]["salt"]):
        assert len({pick(each) for each in made}) == 3


def test_random_faults_in_a_ciphertext(cached):
    rng = np.random.default_rng(0)
    cipher, header = secure.encrypt(rng.bytes(500), "word", "tfcompress:1:a", FEW)
    for _ in range(1000):
        changed = bytearray(cipher)
        if rng.random() < 0.5:
            changed[rng.integers(len(changed))] ^= rng.integers(1, 256)
        else:
            del changed[rng.integers(len(changed)) :]
        with pytest.raises(DecryptionError):
            secure.decrypt(bytes(changed), header, "word")
    with pytest.raises(DecryptionError):
        secure.decrypt(cipher + b"\0", header, "word")


def test_a_changed_header_is_refused(cached):
    cipher, header = secure.encrypt(b"model", "word", "tfcompress:1:a", FEW)
    other = base64.b64encode(bytes(12)).decode()
    changes = [{"aad": "tfcompress:1:b"}, {"nonce": other}, {"plain_bytes": 6}, {"plain_sha256": "0" * 64}]
    changes += [{"kdf": {**header["kdf"], "salt": base64.b64encode(bytes(16)).decode()}}]
    changes += [{"kdf": {**header["kdf"], "iterations": FEW + 1}}]
    for change in changes:
        with pytest.raises(DecryptionError):
            secure.decrypt(cipher, {**header, **change}, "word")
    unreadable = [{"alg": "A128GCM"}, {"nonce": "!"}, {"nonce": "AAAA"}, {"kdf": {**header["kdf"], "iterations": 1}}]
    unreadable += [{"kdf": {**header["kdf"], "iterations": 10**9}}, {"kdf": {**header["kdf"], "alg": "scrypt"}}]
    for change in unreadable:
        with pytest.raises(ValueError):
            secure.decrypt(cipher, {**header, **change}, "word")


def test_an_empty_passphrase_and_few_iterations_are_refused():
    with pytest.raises(ValueError, match="passphrase: must not be empty"):
        secure.encrypt(b"model", "", "a", FEW)
    with pytest.raises(ValueError, match="iterations: must be from 100,000"):
        secure.encrypt(b"model", "word", "a", FEW - 1)


def test_all_faults_are_of_one_kind():
    assert issubclass(SignatureError, IntegrityError) and issubclass(DecryptionError, IntegrityError)
    assert issubclass(IntegrityError, ValueError)


def test_without_cryptography_the_extra_is_named():
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from tfcompress.android import key_files, secure\n"
        "calls = [secure.new_key, lambda: secure.verify(b'', b'', b''), lambda: secure.encrypt(b'', 'a', 'b'),\n"
        "         lambda: key_files.save_keys('keys'), lambda: key_files.load_key('key')]\n"
        "for call in calls:\n"
        "    try: call()\n"
        "    except ModuleNotFoundError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.count("pip install 'tfcompress[android]'") == 5
