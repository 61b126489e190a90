"""Signs and encrypts models: ECDSA P-256 with SHA-256, AES-256-GCM, PBKDF2-HMAC-SHA256.

Every Android since API 26 and every JVM has these algorithms. A signature shows that a model was not
exchanged; encryption keeps a model secret from those without the passphrase. It needs `cryptography`,
which is imported when it is used.
"""

import base64
import binascii
import hashlib
import os
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

SIGNATURE_ALGORITHM = "ECDSA-P256-SHA256"
CIPHER = "A256GCM"
DERIVATION = "PBKDF2-HMAC-SHA256"
ITERATIONS = 600_000  # OWASP, Password Storage Cheat Sheet, for PBKDF2-HMAC-SHA256
ACCEPTED_ITERATIONS = range(100_000, 10_000_001)
_KEY_BYTES, _NONCE_BYTES, _SALT_BYTES, _TAG_BYTES = 32, 12, 16, 16


class IntegrityError(ValueError):
    """Raised if a model or its manifest is not the one that was signed."""


class SignatureError(IntegrityError):
    """Raised if a signature does not belong to the bytes and the key."""


class DecryptionError(IntegrityError):
    """Raised if the passphrase is wrong or the encrypted bytes were changed; GCM can't tell which."""


def new_key() -> "EllipticCurvePrivateKey":
    """Makes a private key on the curve P-256 from the system's random numbers.

    Returns:
        The key of `cryptography`.

    Raises:
        ModuleNotFoundError: If `cryptography` is not installed.

    Example:
        >>> key = new_key()
        >>> verify(b"model", sign(b"model", key), public_der(key))
    """
    need_cryptography()
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def public_der(key: "EllipticCurvePrivateKey") -> bytes:
    """Returns the public key as X.509 SubjectPublicKeyInfo in DER, which `X509EncodedKeySpec` takes on a JVM.

    Args:
        key: A private key.

    Returns:
        91 bytes.
    """
    from cryptography.hazmat.primitives import serialization

    encoding, layout = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, layout)


def sign(content: bytes, key: "EllipticCurvePrivateKey") -> bytes:
    """Signs bytes with ECDSA and SHA-256.

    Args:
        content: The bytes to sign.
        key: A private key on P-256.

    Returns:
        The signature in DER; it differs each time, as ECDSA draws a random number.
    """
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return key.sign(content, ec.ECDSA(hashes.SHA256()))


def verify(content: bytes, signature: bytes, public_key: bytes) -> None:
    """Raises if the signature does not belong to the bytes and the key.

    Args:
        content: The signed bytes.
        signature: In DER.
        public_key: SubjectPublicKeyInfo in DER.

    Raises:
        SignatureError: In that case.
        ValueError: If the public key is no key on P-256.
        ModuleNotFoundError: If `cryptography` is not installed.

    Example:
        >>> key = new_key()
        >>> verify(b"another model", sign(b"model", key), public_der(key))
        Traceback (most recent call last):
        ...
        tfcompress.android.secure.SignatureError: The signature does not belong to these bytes and this public key.
    """
    need_cryptography()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = _public_key(public_key)
    try:
        key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise SignatureError("The signature does not belong to these bytes and this public key.") from None


def derive_key(passphrase: str, salt: bytes, iterations: int) -> bytes:
    """Derives a 256-bit key from a passphrase: PBKDF2-HMAC-SHA256 (RFC 8018) of its NFC form in UTF-8.

    Args:
        passphrase: Any text but the empty one.
        salt: Random bytes stored with the ciphertext.
        iterations: Number of iterations; each guess of an attacker takes as many.

    Returns:
        32 bytes.

    Raises:
        ValueError: If the passphrase is empty.

    Example:
        >>> derive_key("é", b"salt", 1000) == derive_key("é", b"salt", 1000)  # one letter or two marks
        True
    """
    if not passphrase:
        raise ValueError("passphrase: must not be empty.")
    text = unicodedata.normalize("NFC", passphrase).encode("utf-8")
    return hashlib.pbkdf2_hmac("sha256", text, salt, iterations, _KEY_BYTES)


def encrypt(plain: bytes, passphrase: str, aad: str, iterations: int = ITERATIONS) -> tuple[bytes, dict[str, Any]]:
    """Encrypts bytes with AES-256-GCM under a key derived from a passphrase.

    Args:
        plain: The bytes to encrypt.
        passphrase: Any text but the empty one.
        aad: Text that is authenticated with the ciphertext and not stored in it: the name of the content.
        iterations: Of PBKDF2, 100,000 to 10,000,000.

    Returns:
        The ciphertext with its tag of 16 bytes appended, and the header that decryption needs, as in a
        manifest: `alg`, `nonce`, `aad`, `plain_sha256`, `plain_bytes`, `kdf`.

    Raises:
        ValueError: If the passphrase is empty or `iterations` out of range.
        ModuleNotFoundError: If `cryptography` is not installed.

    Example:
        >>> cipher, header = encrypt(b"model", "open sesame", "my model", iterations=100_000)
        >>> decrypt(cipher, header, "open sesame")
        b'model'
    """
    need_cryptography()
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    _check_iterations(iterations)
    nonce, salt = os.urandom(_NONCE_BYTES), os.urandom(_SALT_BYTES)
    key = derive_key(passphrase, salt, iterations)
    cipher = AESGCM(key).encrypt(nonce, plain, aad.encode("utf-8"))
    return cipher, {
        "alg": CIPHER,
        "nonce": base64.b64encode(nonce).decode(),
        "aad": aad,
        "plain_sha256": hashlib.sha256(plain).hexdigest(),
        "plain_bytes": len(plain),
        "kdf": {"alg": DERIVATION, "salt": base64.b64encode(salt).decode(), "iterations": iterations},
    }


def decrypt(cipher: bytes, header: dict[str, Any], passphrase: str) -> bytes:
    """Decrypts the result of `encrypt`, and checks the digest of the plain bytes.

    Args:
        cipher: Ciphertext with its tag.
        header: The dictionary that `encrypt` returned with it.
        passphrase: The same text.

    Returns:
        The plain bytes.

    Raises:
        DecryptionError: If the passphrase is wrong, the bytes or the header were changed, or the plain
            bytes have another digest than the header says.
        ValueError: If the header asks for another algorithm or an unreasonable number of iterations.
        ModuleNotFoundError: If `cryptography` is not installed.
    """
    need_cryptography()
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce, salt, iterations = _read_header(header)
    key = derive_key(passphrase, salt, iterations)
    try:
        if len(cipher) < _TAG_BYTES:
            raise InvalidTag
        plain = AESGCM(key).decrypt(nonce, cipher, header["aad"].encode("utf-8"))
    except InvalidTag:
        raise DecryptionError("The passphrase is wrong, or the encrypted file was changed.") from None
    if len(plain) != header["plain_bytes"] or hashlib.sha256(plain).hexdigest() != header["plain_sha256"]:
        raise DecryptionError("The decrypted file is not the one that was encrypted: its SHA-256 differs.")
    return plain


def need_cryptography() -> None:
    """Raises if `cryptography` is not installed.

    Raises:
        ModuleNotFoundError: In that case; the message names the extra.
    """
    try:
        import cryptography  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Signing and encrypting need the package cryptography: pip install 'tfcompress[android]'"
        ) from error


def _public_key(der: bytes) -> "EllipticCurvePublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"public_key: is no SubjectPublicKeyInfo in DER: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("public_key: must be a key on the curve P-256.")
    return key


def _read_header(header: dict[str, Any]) -> tuple[bytes, bytes, int]:
    """Returns nonce, salt and iterations of a header after checking them."""
    derivation = header["kdf"]
    if header["alg"] != CIPHER or derivation["alg"] != DERIVATION:
        raise ValueError(
            f"encryption: only {CIPHER} with {DERIVATION} is known. Received: {header['alg']} with {derivation['alg']}."
        )
    _check_iterations(derivation["iterations"])
    try:
        nonce = base64.b64decode(header["nonce"], validate=True)
        salt = base64.b64decode(derivation["salt"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"encryption: nonce and salt must be base64: {error}.") from error
    if len(nonce) != _NONCE_BYTES or len(salt) < _SALT_BYTES:
        raise ValueError(
            f"encryption: a nonce of {_NONCE_BYTES} and a salt of at least {_SALT_BYTES} bytes are needed. "
            f"Received: {len(nonce)} and {len(salt)}."
        )
    return nonce, salt, derivation["iterations"]


def _check_iterations(iterations: int) -> None:
    if iterations not in ACCEPTED_ITERATIONS:
        first, last = ACCEPTED_ITERATIONS[0], ACCEPTED_ITERATIONS[-1]
        raise ValueError(f"iterations: must be from {first:,} to {last:,}. Received: {iterations:,}.")
