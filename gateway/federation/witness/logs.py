"""The logs that are witnessed: those of the regions that stand, told apart by their keys.

An origin is what a region says of its log, and two regions may say the same: which of them a
checkpoint is of is told by the key that signed it.
"""

from functools import lru_cache
from typing import Final, NamedTuple

from creditgate.transparency.cosignatures import CosignerKey
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey, open_checkpoint, origin_of
from gateway.federation.trust.book import Region, RegionBook
from gateway.federation.trust.log_keys import log_keys
from gateway.federation.trust.places import is_at

_MOST_KEYS: Final = 1_024


class RegionLog(NamedTuple):
    """The disclosure log of a region that stands."""

    region: Region
    key: VerifierKey


def log_of(region: Region, origin: str = "") -> RegionLog | None:
    """Return the disclosure log of a region, None where it states no key that can be read: the one
    of ``origin`` where that is the present log's or the one that is announced, else the present."""
    logs = logs_of(region)
    return next((log for log in logs if log.key.name == origin), logs[0] if logs else None)


def logs_of(region: Region) -> list[RegionLog]:
    """Return the present disclosure log of a region, and the one that is announced."""
    try:
        keys = log_keys(region, "disclosure").live.every
    except ProofInvalid:
        return []
    return [RegionLog(region, key) for key in keys]


def witness_of(region: Region) -> CosignerKey | None:
    """Return the key a region cosigns with, None where it states none that can be read."""
    return _witness_key(region.log_keys.get("witness", ""))


def logs_named(book: RegionBook, origin: str) -> list[RegionLog]:
    """Return the logs of an origin, of regions that stand: first that of the region at whose
    place the origin is."""
    named = [log for region in book.regions() for log in logs_of(region) if log.key.name == origin]
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
