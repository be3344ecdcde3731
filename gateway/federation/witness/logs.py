"""The logs that are witnessed: those of the regions that stand, by the origins of their keys."""

from functools import lru_cache
from typing import Final, NamedTuple

from creditgate.transparency.cosignatures import CosignerKey
from creditgate.transparency.note import VerifierKey
from gateway.federation.trust.book import Region, RegionBook

_MOST_KEYS: Final = 1_024


class RegionLog(NamedTuple):
    """The disclosure log of a region that stands."""

    region: Region
    key: VerifierKey


def log_of(region: Region) -> RegionLog | None:
    """Return the disclosure log of a region, None where it states no key that can be read."""
    key = _log_key(region.log_keys.get("disclosure", ""))
    return None if key is None else RegionLog(region, key)


def witness_of(region: Region) -> CosignerKey | None:
    """Return the key a region cosigns with, None where it states none that can be read."""
    return _witness_key(region.log_keys.get("witness", ""))


def log_named(book: RegionBook, origin: str) -> RegionLog | None:
    """Return the log of an origin, None where no region that stands has it."""
    for region in book.regions():
        found = log_of(region)
        if found is not None and found.key.name == origin:
            return found
    return None


@lru_cache(_MOST_KEYS)
def _log_key(vkey: str) -> VerifierKey | None:
    try:
        return VerifierKey.parse(vkey)
    except ValueError:
        return None


@lru_cache(_MOST_KEYS)
def _witness_key(vkey: str) -> CosignerKey | None:
    try:
        return CosignerKey.parse(vkey)
    except ValueError:
        return None
