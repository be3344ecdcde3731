"""Signing keys of logs that are known: as published with vectors, or made from a name."""

from base64 import b64decode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from creditgate.transparency.note import Checkpoint
from gateway.transparency.keys import LogKey


def published(private_key: str) -> LogKey:
    """Return the key of a signer key "PRIVATE+KEY+name+id+base64", as Go writes them."""
    _, _, name, _, encoded = private_key.split("+", 4)
    return LogKey(name, Ed25519PrivateKey.from_private_bytes(b64decode(encoded)[1:]))


def key_of(origin: str = "gateway.invalid/log/disclosure") -> LogKey:
    """Return the key of an invented log, always the same for its origin."""
    seed = sha256(origin.encode()).digest()
    return LogKey(origin, Ed25519PrivateKey.from_private_bytes(seed))


def kept_key(file: Path, checkpoints: Mapping[int, Checkpoint]) -> LogKey:
    """Return the key in a gateway's file, under the origin of its checkpoints."""
    (origin,) = {checkpoint.origin for checkpoint in checkpoints.values()}
    return LogKey.kept_in(file, origin)
