"""Cosigned checkpoints that are published for verifiers in any language: by witnesses of fixed
keys, some with a quorum, some without, and one that must be rejected whole."""

from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from creditgate.transparency.cosignatures import (
    CosignerKey,
    WitnessPolicy,
    cosignature_line,
    majority,
    verify_witnessed,
)
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Checkpoint, VerifierKey, checkpoint_body, signed
from tests.transparency.keys import key_of

AT: Final = 1_800_000_000
_LOG: Final = key_of()
_BODY: Final = checkpoint_body(Checkpoint(_LOG.verifier.name, 20_852_163, bytes(range(32))))


class FixedCosigner:
    """A witness whose key follows from its name."""

    def __init__(self, name: str) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())
        self.verifier = CosignerKey(name, self._private.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        """Return the signature of ``text``."""
        return self._private.sign(text)


_WITNESSES: Final = [FixedCosigner(f"region{number}.invalid/witness") for number in range(3)]
_STRANGER: Final = FixedCosigner("stranger.invalid/witness")


def cosigned() -> dict[str, Any]:
    """Return the keys, the quorum, and notes with what they are to be judged as."""
    own = signed(_BODY, _LOG)
    lines = [cosignature_line(_BODY, each, AT + n) for n, each in enumerate(_WITNESSES)]
    stranger = cosignature_line(_BODY, _STRANGER, AT)
    later = cosignature_line(_BODY, _WITNESSES[0], AT + 60)
    other = cosignature_line(_BODY.replace("\n20852163\n", "\n20852164\n"), _WITNESSES[1], AT)
    notes = {
        "by all": own + "".join(lines),
        "by a quorum, and a stranger": own + stranger + lines[0] + lines[2],
        "before the log's own line": own.replace("— ", f"{lines[0]}{lines[1]}— ", 1),
        "by one of them": own + lines[1],
        "by one of them, twice": own + lines[0] + later,
        "by none": own,
        "with a cosignature of another checkpoint": own + lines[0] + other + lines[2],
        "without the log's signature": f"{_BODY}\n{''.join(lines)}",
    }
    keys = tuple(each.verifier for each in _WITNESSES)
    return {
        "key": str(_LOG.verifier),
        "witnesses": [str(key) for key in keys],
        "quorum": majority(len(keys)),
        "notes": [
            {"name": name, "note": note, **judged(note, _LOG.verifier, keys)}
            for name, note in notes.items()
        ],
    }


def judged(note: str, log: VerifierKey, keys: tuple[CosignerKey, ...]) -> dict[str, Any]:
    """Return what this verifier says of a note."""
    try:
        found = verify_witnessed(note, log, WitnessPolicy(keys, majority(len(keys))))
    except ProofInvalid as fault:
        return {"verifies": False, "reason": str(fault)}
    return {
        "verifies": True,
        "tree_size": found.checkpoint.size,
        "cosigned": {key.name: at for key, at in sorted(found.cosigned.items(), key=str)},
    }
