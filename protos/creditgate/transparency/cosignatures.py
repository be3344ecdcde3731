"""Cosignatures: witnesses' word that a log has shown them one history. Pure.

A witness signs the newest checkpoint of a log it has seen, once it is proved to extend all it
saw before. Who believes a checkpoint only with cosignatures of a quorum of witnesses cannot
be shown another history than the others are. Source: C2SP tlog-cosignature, cosignature/v1
(Ed25519, signature type 0x04), and tlog-policy for the quorum.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple, Protocol, Self

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import (
    Checkpoint,
    VerifierKey,
    open_checkpoint,
    signature_line,
    taken_apart,
)

SKEW_SECONDS: Final = 300
"""How far a witness's clock may be before ours."""

_TYPE: Final = b"\x04"
_KEY_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64
_MOST_TIME: Final = (1 << 63) - 1
_OF_ANOTHER: Final = "a cosignature is not of the witness's key"


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """The public key of a witness. ``name`` is a URL without its scheme, ``public`` the 32
    bytes of RFC 8032."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        # The rules for names and keys are those of logs.
        VerifierKey(self.name, self.public)

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read a verifier key "name+key id+base64". Raises ValueError."""
        name, _, rest = vkey.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            material = b64decode(encoded, validate=True)
        except binascii.Error:
            material = b""
        if material[:1] != _TYPE:
            raise ValueError("this is no verifier key of a witness (name+key id+base64, type 4)")
        key = cls(name, material[1:])
        if key_id.lower() != key.key_id.hex():
            raise ValueError("the verifier key's id is not that of its name and key")
        return key

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that tell keys of one name apart: another than those of a log's key."""
        return sha256(self.name.encode() + b"\n" + _TYPE + self.public).digest()[:_KEY_ID_BYTES]

    def verify(self, text: str, signature: bytes) -> int:
        """Return when the cosignature of a checkpoint's text was made (seconds, UTC).

        Raises ProofInvalid.
        """
        if len(signature) != _TIME_BYTES + _SIGNATURE_BYTES:
            raise ProofInvalid(_OF_ANOTHER)
        at = int.from_bytes(signature[:_TIME_BYTES], "big")
        # "It MUST NOT exceed 2^63 - 1."
        if at > _MOST_TIME:
            raise ProofInvalid("a cosignature's time is none")
        try:
            VerifierKey(self.name, self.public).verify(
                cosigned_text(text, at), signature[_TIME_BYTES:]
            )
        except ProofInvalid:
            raise ProofInvalid(_OF_ANOTHER) from None
        return at

    def __str__(self) -> str:
        """Return the key as C2SP writes it."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(_TYPE + self.public).decode()}"


class Cosigner(Protocol):
    """Cosigns for the witness whose key this verifies."""

    @property
    def verifier(self) -> CosignerKey:
        """What verifies the cosignatures."""
        ...

    def sign(self, text: bytes) -> bytes:
        """Return the Ed25519 signature of ``text``."""
        ...


def cosigned_text(text: str, at: int) -> bytes:
    """Return what is signed for a checkpoint's ``text`` at an instant (seconds, UTC)."""
    return f"cosignature/v1\ntime {at}\n{text}".encode("utf-8", "surrogatepass")


def cosignature_line(text: str, cosigner: Cosigner, at: int) -> str:
    """Return the signature line that cosigns a checkpoint's ``text`` at ``at``."""
    key = cosigner.verifier
    signature = at.to_bytes(_TIME_BYTES, "big") + cosigner.sign(cosigned_text(text, at))
    return signature_line(key.name, key.key_id, signature)


def cosignatures_in(note: str, witnesses: Iterable[CosignerKey]) -> Mapping[CosignerKey, int]:
    """Return which of ``witnesses`` have cosigned a note, and when last (seconds, UTC).

    Others' signatures are not looked at. Raises ProofInvalid where a line that names one of
    them is not of its key: C2SP signed-note has the whole note rejected.
    """
    known = {(key.name, key.key_id): key for key in witnesses}
    found: dict[CosignerKey, int] = {}
    text, signatures = taken_apart(note)
    for each in signatures:
        key = known.get((each.name, each.key_id))
        if key is not None:
            found[key] = max(found.get(key, 0), key.verify(text, each.signature))
    return found


def majority(witnesses: int) -> int:
    """Return the quorum of so many witnesses, unless another is set: more than half.

    Two quorums then have a witness in common, so two histories would need one that signs both.
    """
    return witnesses // 2 + 1


@dataclass(frozen=True, slots=True)
class WitnessPolicy:
    """Which witnesses there are of a log, and of how many a checkpoint needs cosignatures."""

    witnesses: tuple[CosignerKey, ...]
    quorum: int

    def __post_init__(self) -> None:
        # One key under two names would count twice: the text signed has no name in it.
        if len({key.public for key in self.witnesses}) != len(self.witnesses):
            raise ValueError("each witness has a key of its own")
        if not 0 <= self.quorum <= len(self.witnesses):
            raise ValueError("a quorum is of no more witnesses than there are")


class TooFewWitnesses(ProofInvalid):
    """Fewer witnesses have cosigned a checkpoint than must have: more may in a moment."""


class Witnessed(NamedTuple):
    """A checkpoint that its log has signed, and the witnesses who cosigned it, with when."""

    checkpoint: Checkpoint
    cosigned: Mapping[CosignerKey, int]


def verify_witnessed(
    note: str, log: VerifierKey, policy: WitnessPolicy, now: int | None = None
) -> Witnessed:
    """Return the checkpoint in a note that ``log`` has signed and a quorum has cosigned.

    Cosignatures of after ``now`` (seconds, UTC) and `SKEW_SECONDS` do not count. Raises
    ProofInvalid, TooFewWitnesses.
    """
    checkpoint = open_checkpoint(note, log)
    latest = _MOST_TIME if now is None else now + SKEW_SECONDS
    cosigned = {
        key: at for key, at in cosignatures_in(note, policy.witnesses).items() if at <= latest
    }
    if len(cosigned) < policy.quorum:
        raise TooFewWitnesses(
            f"of {policy.quorum} witnesses that must cosign a checkpoint {len(cosigned)} have"
        )
    return Witnessed(checkpoint, cosigned)
