"""The keys of a region's logs, as its trust chain tells them: the present, those before it that are
linked to it, and the next where one is announced. Pure."""

from functools import lru_cache
from typing import Final

from creditgate.transparency.linked import LinkedKeys
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from gateway.federation.trust.book import LogPurpose, Region

_MOST_KNOWN: Final = 1_024


def log_keys(region: Region, purpose: LogPurpose) -> LinkedKeys:
    """Return the keys of one of a region's logs, not of its witness. Raises ProofInvalid where it
    states none that can be read: what cannot be verified is not asked for."""
    try:
        return _linked(region.log_keys[purpose], region.log_links.get(purpose, ()))
    except (KeyError, ValueError):
        raise ProofInvalid("the region's statement names no keys of its logs") from None


@lru_cache(_MOST_KNOWN)
def _linked(vkey: str, notes: tuple[str, ...]) -> LinkedKeys:
    return LinkedKeys.of(VerifierKey.parse(vkey), notes)
