"""Trust chains: from a region's own word to the national anchor's. Pure.

Source: OpenID Federation 1.0, section 4 (trust chains) and section 10.2 (validating one).
"""

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from gateway.federation.trust.constraints import allowed_types
from gateway.federation.trust.policy import Metadata, resolved_metadata
from gateway.federation.trust.statement import (
    EntityStatement,
    JwkSet,
    StatementInvalid,
    self_signed,
    verified_statement,
)

MOST_BETWEEN: Final = 3
"""Most intermediates between a leaf and its anchor."""
MOST_STATEMENTS: Final = MOST_BETWEEN + 3
"""Longest chain: what a leaf and its anchor say of themselves, and what is said in between."""


class Anchor(Protocol):
    """The trust anchor: its entity identifier, and its keys as they were got out of band.

    Section 10.2: the anchor's keys are never taken from what is being verified.
    """

    @property
    def entity_id(self) -> str:
        """Its entity identifier."""
        ...

    @property
    def keys(self) -> JwkSet:
        """Its keys as they are now."""
        ...


class AnchorTrust(NamedTuple):
    """An `Anchor` whose keys stay what they are."""

    entity_id: str
    keys: JwkSet


class TrustChain(NamedTuple):
    """A chain that was verified: its statements, the leaf's first, the anchor's own last.

    ``metadata`` is the leaf's, with its superiors' policies applied; ``expires_at`` (seconds,
    UTC) is when the first statement expires; ``revision`` the anchor's number of what it
    states of the leaf. ``tls_roots`` are the authorities (PEM) of the leaf's servers, as whoever
    stands right above it states them.
    """

    statements: tuple[str, ...]
    entity_id: str
    metadata: Metadata
    expires_at: int
    revision: int
    tls_roots: str

    @property
    def digest(self) -> str:
        """SHA-256 over the statements, in hex."""
        return hashlib.sha256("\n".join(self.statements).encode()).hexdigest()


def verified_chain(statements: Sequence[str], anchor: Anchor, now: int) -> TrustChain:
    """Return the chain when each statement is signed by the keys of the one above it.

    Raises StatementInvalid.
    """
    if not 3 <= len(statements) <= MOST_STATEMENTS:
        raise StatementInvalid(f"a trust chain has 3 to {MOST_STATEMENTS} statements here")
    above = anchor_configuration(statements[-1], anchor, now)
    read: list[EntityStatement] = [above]
    for token in reversed(statements[:-1]):
        # "Verify the signature of ES[j] with a public key from ES[j+1]["jwks"]."
        statement = verified_statement(token, above.jwks, now)
        # "Verify that ES[j]["iss"] == ES[j+1]["sub"]."
        if statement.iss != above.sub:
            raise StatementInvalid("a statement of the chain is not of the entity above it")
        read.insert(0, statement)
        above = statement
    leaf, superiors = read[0], read[1:-1]
    # ES[0] is the subject's own: signed by its own keys, and by such as the one above names.
    self_signed(statements[0], now)
    if any(superior.is_configuration for superior in superiors):
        raise StatementInvalid("an entity configuration stands inside the chain")
    types = allowed_types(superiors)
    metadata = resolved_metadata(leaf, superiors)
    return TrustChain(
        tuple(statements),
        leaf.sub,
        # Section 6.2.3: what is of a type that is not allowed is removed.
        {kind: fields for kind, fields in metadata.items() if types is None or kind in types},
        min(statement.exp for statement in read),
        superiors[-1].revision,
        superiors[0].tls_roots,
    )


def anchor_configuration(token: str, anchor: Anchor, now: int) -> EntityStatement:
    """Return the anchor's entity configuration, signed by a key that was got out of band.

    The keys it names sign on from there, so that the anchor can change keys (section 11.2).
    Raises StatementInvalid.
    """
    configuration = verified_statement(token, anchor.keys, now)
    if configuration.sub != anchor.entity_id or not configuration.is_configuration:
        raise StatementInvalid("the last statement is not the anchor's own")
    return configuration
