"""News: the anchor's signed, numbered word on which regions are enrolled and who is cut off.

A JWT of type ``federation-news+jwt``, issued anew whenever somebody asks, so that its age
tells how long ago the anchor was heard. Its keys are the anchor's federation keys. OpenID
Federation has statements that expire and nothing that tells sooner; this is what does. Pure.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.federation.trust.chain import MOST_BETWEEN, Anchor
from gateway.federation.trust.statement import (
    EntityIdText,
    JwkSet,
    StatementInvalid,
    checked_claims,
)
from operators.regions import MOST_REGIONS

NEWS_TYPE: Final = "federation-news+jwt"
NEWS_MEDIA_TYPE: Final = "application/federation-news+jwt"
NEWS_PATH: Final = "/federation/news"
"""Path of the news below an anchor's identifier, and below a region's that relays them."""

MOST_WAIT_SECONDS: Final = 30
"""Longest time a question for news may be held open."""

SKEW_SECONDS: Final = 10
"""How far the clock of who signs what is followed may run ahead of ours: by so much an old copy
may look younger than it is, and be believed past the lease."""

_Number = Annotated[int, Field(ge=0, lt=1 << 53)]


class _Claims(BaseModel):
    """What the anchor signs; ``regions`` by entity id the revision of what it states of each, or of
    the intermediate it is under, ``cut_off`` since when each is (seconds, UTC), ``under`` the
    superior of each that does not stand right below the anchor."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)

    iss: EntityIdText
    iat: int
    number: _Number
    regions: Annotated[dict[EntityIdText, _Number], Field(max_length=MOST_REGIONS)]
    cut_off: Annotated[dict[EntityIdText, int], Field(max_length=MOST_REGIONS)]
    under: Annotated[dict[EntityIdText, EntityIdText], Field(max_length=MOST_REGIONS)] = {}


class News(NamedTuple):
    """What the anchor said at ``issued_at`` (seconds, UTC).

    ``number`` grows with each change. ``regions`` are those enrolled, with the revision of
    what the anchor states of each; ``cut_off`` those of them that are cut off, since when.
    ``text`` is the signed news, for others to hear. ``under`` has the superior of each that does
    not stand right below the anchor.
    """

    number: int
    issued_at: int
    regions: Mapping[str, int]
    cut_off: Mapping[str, int]
    text: str
    under: Mapping[str, str] = MappingProxyType({})

    def path(self, entity_id: str) -> tuple[str, ...]:
        """Return the intermediates between the anchor and an entity, the anchor's own first; as
        many as a chain may have, and one more where there are more."""
        found: list[str] = []
        while (superior := self.under.get(entity_id)) is not None and len(found) <= MOST_BETWEEN:
            found.insert(0, superior)
            entity_id = superior
        return tuple(found)

    def stands(self, entity_id: str, revision: int) -> bool:
        """Tell whether a region is enrolled, not cut off, and ``revision`` is not behind what
        the anchor states of it now."""
        return (
            entity_id in self.regions
            and entity_id not in self.cut_off
            and revision >= self.regions[entity_id]
        )


def news_claims(
    anchor: str,
    now: int,
    number: int,
    regions: Mapping[str, int],
    cut_off: Mapping[str, int],
    under: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the claims of news for the anchor to sign."""
    return {
        "iss": anchor,
        "iat": now,
        "number": number,
        "regions": dict(regions),
        "cut_off": dict(cut_off),
        "under": dict(under),
    }


def verified_news(text: str, anchor: Anchor, keys: JwkSet, now: int) -> News:
    """Return what ``text`` tells, when the anchor signed it with one of ``keys``.

    Whether it is fresh is not looked at here. Raises StatementInvalid.
    """
    claims = checked_claims(text, keys, NEWS_TYPE)
    try:
        read = _Claims.model_validate(claims)
    except ValidationError as error:
        raise StatementInvalid("its claims are not right") from error
    if read.iss != anchor.entity_id:
        raise StatementInvalid("it is of another anchor")
    if read.iat > now + SKEW_SECONDS:
        raise StatementInvalid("it was issued in the future")
    return News(read.number, read.iat, read.regions, read.cut_off, text, read.under)
