"""Whose place on the network a log's origin or a witness's name is at. Pure.

Both are URLs without their scheme (C2SP tlog-tiles, tlog-witness), at first below the issuer of
the region that made the key; they stay when its issuer changes. So a region may name a place
that is nobody's now, and never one of another region.
"""

from collections.abc import Iterable

from creditgate.transparency.linked import LinkedKeys
from creditgate.transparency.note import VerifierKey
from gateway.federation.trust.statement import StatementInvalid
from operators.regions import KnownRegion

_SCHEME = "https://"


def require_own_places(region: KnownRegion, enrolled: Iterable[str]) -> None:
    """Check that no key of a region, present or announced, has a name at the place of another one
    of ``enrolled`` (entity identifiers). Raises StatementInvalid."""
    entities = tuple(enrolled)
    for purpose, vkey in region.log_keys.items():
        names = [vkey.partition("+")[0]]
        if notes := region.log_links.get(purpose, ()):
            announced = LinkedKeys.of(VerifierKey.parse(vkey), notes).announced
            names += [] if announced is None else [announced.name]
        if any(owner_of(name, entities) not in ("", region.entity_id) for name in names):
            raise StatementInvalid(f"its {purpose} key has a name at the place of another region")


def owner_of(name: str, entities: Iterable[str]) -> str:
    """Return at whose place a name is, of ``entities``: the nearest one above it, "" for none."""
    at = f"{name.casefold()}/"
    above = [each for each in entities if at.startswith(f"{_place(each)}/")]
    return max(above, key=len, default="")


def is_at(key: VerifierKey, entity_id: str) -> bool:
    """Tell whether a log's origin is at a region's own place."""
    return owner_of(key.name, (entity_id,)) == entity_id


def _place(entity_id: str) -> str:
    return entity_id.removeprefix(_SCHEME).rstrip("/").casefold()
