"""The logs that are witnessed: those of the regions that stand, told apart by their keys.

An origin is what a region says of its log, and two regions may say the same: which of them a
checkpoint is of is told by the key that signed it. A region has one log at a time, that of its present
key: what it announces is none before it has gone over to it, or it could show one history by either.
"""

from functools import lru_cache
from typing import Final, NamedTuple

from creditgate.transparency.cosignatures import CosignerKey
from creditgate.transparency.linked import ended_before
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey, open_checkpoint, origin_of
from creditgate.transparency.succession import Succession
from gateway.federation.trust.book import Region, RegionBook
from gateway.federation.trust.log_keys import log_keys
from gateway.federation.trust.places import is_at

_MOST_KEYS: Final = 1_024


class RegionLog(NamedTuple):
    """The disclosure log of a region that stands, and how those ended that it had before."""

    region: Region
    key: VerifierKey
    ended: tuple[Succession, ...] = ()


def log_of(region: Region) -> RegionLog | None:
    """Return the disclosure log of a region, None where it states no key that can be read."""
    try:
        key = log_keys(region, "disclosure").present
    except ProofInvalid:
        return None
    return RegionLog(region, key, _ended(key, region.log_links.get("disclosure", ())))


def witness_of(region: Region) -> CosignerKey | None:
    """Return the key a region cosigns with, None where it states none that can be read."""
    return _witness_key(region.log_keys.get("witness", ""))


def logs_named(book: RegionBook, origin: str) -> list[RegionLog]:
    """Return the logs of an origin, of regions that stand: first that of the region at whose
    place the origin is."""
    logs = (log_of(region) for region in book.regions())
    named = [log for log in logs if log is not None and log.key.name == origin]
    return sorted(named, key=lambda log: not is_at(log.key, log.region.entity_id))


def log_signing(book: RegionBook, note: str) -> RegionLog | None:
    """Return the log, of a region that stands, that signed a checkpoint; None where none has."""
    for log in logs_named(book, origin_of(note)):
        try:
            open_checkpoint(note, log.key)
        except ProofInvalid:
            continue
        return log
    return None


@lru_cache(_MOST_KEYS)
def _witness_key(vkey: str) -> CosignerKey | None:
    try:
        return CosignerKey.parse(vkey)
    except ValueError:
        return None


@lru_cache(_MOST_KEYS)
def _ended(key: VerifierKey, notes: tuple[str, ...]) -> tuple[Succession, ...]:
    return ended_before(key, notes)
