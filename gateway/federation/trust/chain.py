"""Trust chains: from a region's own word to the national anchor's. Pure.

Source: OpenID Federation 1.0, section 4 (trust chains) and section 10.2 (validating one).
"""

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.federation.trust.policy import Metadata, resolved_metadata
from gateway.federation.trust.statement import (
    EntityStatement,
    JwkSet,
    StatementInvalid,
    self_signed,
    verified_statement,
)

MOST_STATEMENTS: Final = 6
"""Longest chain: a leaf, its anchor, and intermediates between."""


class AnchorTrust(NamedTuple):
    """The trust anchor: its entity identifier, and its keys as they were got out of band.

    Section 10.2: the anchor's keys are never taken from what is being verified.
    """

    entity_id: str
    keys: JwkSet


class TrustChain(NamedTuple):
    """A chain that was verified: its statements, the leaf's first, the anchor's own last.

    ``metadata`` is the leaf's, with its superiors' policies applied; ``expires_at`` (seconds,
    UTC) is when the first statement expires; ``revision`` the anchor's number of what it
    states of the leaf.
    """

    statements: tuple[str, ...]
    entity_id: str
    metadata: Metadata
    expires_at: int
    revision: int

    @property
    def digest(self) -> str:
        """SHA-256 over the statements, in hex."""
        return hashlib.sha256("\n".join(self.statements).encode()).hexdigest()


def verified_chain(statements: Sequence[str], anchor: AnchorTrust, now: int) -> TrustChain:
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
    _require_within_constraints(superiors)
    return TrustChain(
        tuple(statements),
        leaf.sub,
        resolved_metadata(leaf, superiors),
        min(statement.exp for statement in read),
        superiors[-1].revision,
    )


def anchor_configuration(token: str, anchor: AnchorTrust, now: int) -> EntityStatement:
    """Return the anchor's entity configuration, signed by a key that was got out of band.

    The keys it names sign on from there, so that the anchor can change keys (section 11.2).
    Raises StatementInvalid.
    """
    configuration = verified_statement(token, anchor.keys, now)
    if configuration.sub != anchor.entity_id or not configuration.is_configuration:
        raise StatementInvalid("the last statement is not the anchor's own")
    return configuration


def _require_within_constraints(superiors: Sequence[EntityStatement]) -> None:
    """Check the constraints of superiors (section 6.2): the length of the path.

    Others cannot be kept here, so that a chain that has them is not believed.
    """
    for below, superior in enumerate(superiors):
        constraints = superior.constraints or {}
        if constraints.keys() - {"max_path_length"}:
            raise StatementInvalid("the chain has constraints that are not understood here")
        most = constraints.get("max_path_length")
        if most is not None and (type(most) is not int or below > most):
            raise StatementInvalid("the chain is longer than a superior allows")
