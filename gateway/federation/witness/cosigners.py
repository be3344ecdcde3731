"""Who the witnesses are, and which of them have cosigned: by the keys that regions state. Pure.

Other than a key that was pinned (`creditgate.transparency.cosignatures`), a witness's key is what
its region says now, here and elsewhere perhaps not the same; and the text that is cosigned names
nobody. So a key that two regions state counts once, by whichever name it signs; it is left out of
what is believed of a region's own log only where nobody else states it; and a line that is not of
the key stated is no cosignature, and spoils none. No region takes a witness away from another, or
from its own log, by what it says of itself.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from creditgate.transparency.cosignatures import SKEW_SECONDS, CosignerKey, TooFewWitnesses
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Checkpoint, VerifierKey, open_checkpoint, taken_apart
from gateway.federation.trust.book import Region
from gateway.federation.witness.logs import witness_of

Cosigners = Mapping[bytes, tuple[CosignerKey, ...]]
"""The names of each witness, by its public key."""


class Cosigned(NamedTuple):
    """A checkpoint that its log has signed, and when each witness, by its public key, has cosigned
    it last (seconds, UTC)."""

    checkpoint: Checkpoint
    at: Mapping[bytes, int]


def cosigners(keys: Iterable[CosignerKey | None]) -> Cosigners:
    """Return witnesses by their keys, None passed over."""
    found: dict[bytes, tuple[CosignerKey, ...]] = {}
    for key in keys:
        if key is not None and key not in (names := found.get(key.public, ())):
            found[key.public] = (*names, key)
    return found


def cosigners_of(region: Region, regions: Iterable[Region], own: CosignerKey) -> Cosigners:
    """Return the witnesses of a region's log: of this region, ``own``, and of all others of
    ``regions``. Nobody is a witness of its own log."""
    others = (each for each in regions if each.entity_id != region.entity_id)
    return cosigners([own, *map(witness_of, others)])


def signed_by(note: str, witnesses: Cosigners) -> Mapping[bytes, int]:
    """Return which witnesses have cosigned a note, by public key, and when last (seconds, UTC).

    Raises ProofInvalid for what is no note.
    """
    named: dict[tuple[str, bytes], list[CosignerKey]] = {}
    for names in witnesses.values():
        for key in names:
            # Key ids are short: two keys of one name may have the same.
            named.setdefault((key.name, key.key_id), []).append(key)
    found: dict[bytes, int] = {}
    text, signatures = taken_apart(note)
    for each in signatures:
        for key in named.get((each.name, each.key_id), ()):
            try:
                at = key.verify(text, each.signature)
            except ProofInvalid:
                continue
            found[key.public] = max(found.get(key.public, 0), at)
    return found


def require_cosigned(
    note: str, log: VerifierKey, witnesses: Cosigners, quorum: int, now: int
) -> Cosigned:
    """Return the checkpoint in a note that ``log`` has signed and ``quorum`` of ``witnesses`` have
    cosigned. Cosignatures of after ``now`` and `SKEW_SECONDS` do not count.

    Raises ProofInvalid, TooFewWitnesses.
    """
    checkpoint = open_checkpoint(note, log)
    latest = now + SKEW_SECONDS
    cosigned = {key: at for key, at in signed_by(note, witnesses).items() if at <= latest}
    if len(cosigned) < quorum:
        raise TooFewWitnesses(
            f"of {quorum} witnesses that must cosign a checkpoint {len(cosigned)} have"
        )
    return Cosigned(checkpoint, cosigned)
