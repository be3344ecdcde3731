"""Checkpoints: signed heads of logs. Pure.

Sources: C2SP signed-note and tlog-checkpoint, with Ed25519 (RFC 8032), signature type 0x01.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple, Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from creditgate.transparency.merkle import HASH_BYTES, ProofInvalid

MOST_NOTE_BYTES: Final = 65_536
_ED25519: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_SIGNATURE_BYTES: Final = 64
_SEPARATOR: Final = "\n\n"
_DASH: Final = "— "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NAME: Final = re.compile(r"[^\s+]+")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class Checkpoint(NamedTuple):
    """The head of a log: its origin, the number of its leaves, the root of their tree."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public key of a log, as verifiers pin it. ``name`` is the log's origin, ``public``
    the 32 bytes of RFC 8032."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("a key's name is not empty and has neither spaces nor plus signs")
        if len(self.public) != HASH_BYTES:
            raise ValueError("an Ed25519 public key has 32 bytes")

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read a verifier key "name+key id+base64". Raises ValueError."""
        name, _, rest = vkey.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            material = b64decode(encoded, validate=True)
        except binascii.Error:
            material = b""
        if material[:1] != _ED25519:
            raise ValueError("this is no verifier key of type Ed25519 (name+key id+base64)")
        key = cls(name, material[1:])
        if key_id.lower() != key.key_id.hex():
            raise ValueError("the verifier key's id is not that of its name and key")
        return key

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_KEY_ID_BYTES]

    def verify(self, text: bytes, signature: bytes) -> None:
        """Check a signature of ``text``. Raises ProofInvalid."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            raise ProofInvalid("the checkpoint's signature is not of the log's key") from None

    def __str__(self) -> str:
        """Return the key as C2SP writes it."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(_ED25519 + self.public).decode()}"


class Signer(Protocol):
    """Signs for the log whose key this verifies."""

    @property
    def verifier(self) -> VerifierKey:
        """What verifies the signatures."""
        ...

    def sign(self, text: bytes) -> bytes:
        """Return the Ed25519 signature of ``text``."""
        ...


def checkpoint_body(checkpoint: Checkpoint) -> str:
    """Return the text of a checkpoint, which is what is signed."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{b64encode(checkpoint.root).decode()}\n"


def signed(body: str, signer: Signer) -> str:
    """Return ``body``, a text that ends a line, as a signed note."""
    key = signer.verifier
    return f"{body}\n{signature_line(key.name, key.key_id, signer.sign(body.encode()))}"


class NoteSignature(NamedTuple):
    """One signature of a note: whose, by name and key id, its bytes, and the whole line."""

    name: str
    key_id: bytes
    signature: bytes
    line: str


def taken_apart(note: str) -> tuple[str, Iterator[NoteSignature]]:
    """Return the text of a note and its signatures, none of them verified.

    Raises ProofInvalid, for a line that is no signature while they are gone through.
    """
    if len(note.encode("utf-8", "surrogatepass")) > MOST_NOTE_BYTES or _CONTROL.search(note):
        raise ProofInvalid("the checkpoint is no signed note")
    body, separator, signatures = note.rpartition(_SEPARATOR)
    if not separator or not signatures.endswith("\n"):
        raise ProofInvalid("the checkpoint is no signed note")
    return body + "\n", signatures_in(signatures)


def open_note(note: str, key: VerifierKey) -> str:
    """Return the text of a note that ``key`` has signed; other signatures are not looked at.

    Raises ProofInvalid.
    """
    text, signatures = taken_apart(note)
    found = False
    for each in signatures:
        if (each.name, each.key_id) == (key.name, key.key_id):
            if len(each.signature) != _SIGNATURE_BYTES:
                raise ProofInvalid("the checkpoint's signature is not of the log's key")
            key.verify(text.encode("utf-8", "surrogatepass"), each.signature)
            found = True
    if not found:
        raise ProofInvalid("the checkpoint is not signed by the log's key")
    return text


def origin_of(note: str) -> str:
    """Return the first line of a note: the log that a checkpoint says it is of, unverified."""
    return note.partition("\n")[0]


def open_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """Return the checkpoint in a note that ``key`` has signed, of the log of its name.

    Raises ProofInvalid. Extension lines, which none of our logs has, are refused.
    """
    lines = open_note(note, key).split("\n")
    if len(lines) != 4 or not _SIZE.fullmatch(lines[1]):
        raise ProofInvalid("the signed note is no checkpoint")
    try:
        root = b64decode(lines[2], validate=True)
    except binascii.Error:
        root = b""
    checkpoint = Checkpoint(lines[0], int(lines[1]), root)
    # Only the one way of writing it: base64 leaves bits that mean nothing.
    if len(root) != HASH_BYTES or checkpoint_body(checkpoint) != "\n".join(lines):
        raise ProofInvalid("the signed note is no checkpoint")
    if checkpoint.origin != key.name:
        raise ProofInvalid("the checkpoint is of another log")
    return checkpoint


def signature_line(name: str, key_id: bytes, signature: bytes) -> str:
    """Return a signature as a note has it, with the end of its line."""
    return f"{_DASH}{name} {b64encode(key_id + signature).decode()}\n"


def signatures_in(lines: str) -> Iterator[NoteSignature]:
    """Yield the signatures in ``lines``, those of a note or of some behind it, none of them
    verified. Raises ProofInvalid for what is no signature line."""
    for line in lines.removesuffix("\n").split("\n"):
        name, separator, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not separator or not _NAME.fullmatch(name):
            raise ProofInvalid("a signature line of the checkpoint is malformed")
        try:
            signature = b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            signature = b""
        if len(signature) <= _KEY_ID_BYTES or b64encode(signature).decode() != encoded:
            raise ProofInvalid("a signature line of the checkpoint is malformed")
        yield NoteSignature(name, signature[:_KEY_ID_BYTES], signature[_KEY_ID_BYTES:], f"{line}\n")
