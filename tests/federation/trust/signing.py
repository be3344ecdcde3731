"""Statements for tests: a leaf, an intermediate and an anchor with keys of their own."""

from typing import Any

from joserfc.jwk import ECKey

from gateway.federation.trust.chain import AnchorTrust
from gateway.federation.trust.entity_key import EntityKey
from gateway.federation.trust.statement import STATEMENT_TYPE
from tests.clock import NOW

ANCHOR, MIDDLE, LEAF = "https://anchor.example", "https://middle.example", "https://leaf.example"
UNTIL = NOW + 1_000


def new_key() -> EntityKey:
    """Return a key of an entity."""
    return EntityKey(ECKey.generate_key("P-256"))


KEYS = {entity: new_key() for entity in (ANCHOR, MIDDLE, LEAF)}
TRUST = AnchorTrust(ANCHOR, KEYS[ANCHOR].jwks)


def statement(
    issuer: str,
    subject: str,
    *,
    key: EntityKey | None = None,
    typ: str = STATEMENT_TYPE,
    **more: Any,
) -> str:
    """Return what ``issuer`` states of ``subject``, with the subject's own keys."""
    claims = {
        "iss": issuer,
        "sub": subject,
        "iat": NOW - 10,
        "exp": UNTIL,
        "jwks": KEYS[subject].jwks,
        **more,
    }
    return (key or KEYS[issuer]).sign({k: v for k, v in claims.items() if v is not None}, typ)


def leaf(**more: Any) -> str:
    """Return the leaf's own configuration."""
    more.setdefault("authority_hints", [ANCHOR])
    return statement(LEAF, LEAF, **more)


def anchor(**more: Any) -> str:
    """Return the anchor's own configuration."""
    return statement(ANCHOR, ANCHOR, **more)


def short_chain(**more: Any) -> list[str]:
    """Return a chain of leaf and anchor; ``more`` goes into what the anchor states."""
    return [leaf(), statement(ANCHOR, LEAF, **more), anchor()]
