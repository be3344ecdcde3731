"""The world of the authorisation server's tests, its operator licensed."""

import secrets

from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.oauth.software_statement import signed_statement
from operators.kept import Kept
from operators.log import Draft
from operators.model import LICENCE, Licence
from operators.registration import SOFTWARE_STATEMENT, SoftwareStatement
from tests.oauth.world import OPERATOR, World

LICENSED_SECONDS = 1_000
STATEMENT_SECONDS = 500
SOFTWARE = "invented-checker"


def license_operator(world: World) -> None:
    """Give the operator a licence for items penalty and rating in region 31."""
    now = world.clock.now()
    keep(
        world,
        LICENCE,
        "L-1",
        Licence(
            number="L-1",
            operator_id=OPERATOR,
            valid_from=now,
            valid_until=now + LICENSED_SECONDS,
            items=frozenset({"penalty", "rating"}),
            purposes=frozenset({Purpose.PURPOSE_SUPPLIER_CHECK}),
            regions=frozenset({"31"}),
            daily_record_quota=10,
        ),
    )


def keep(world: World, kind: str, thing_id: str, thing: Kept) -> None:
    """Log the first version of a thing."""
    draft = Draft(kind, thing_id, 0, thing.as_document())
    now = world.clock.now()
    world.log.append([draft], changed_by="office", changed_at=now, reason="test")


def issued(world: World, issuer: str, operator_id: str = OPERATOR) -> str:
    """Return a software statement as an administrator issues it."""
    now = world.clock.now()
    statement = SoftwareStatement(
        statement_id=secrets.token_urlsafe(16),
        operator_id=operator_id,
        licence="L-1",
        software_id=SOFTWARE,
        issued_at=now,
        expires_at=now + STATEMENT_SECONDS,
    )
    keep(world, SOFTWARE_STATEMENT, statement.statement_id, statement)
    return signed_statement(world.keys, world.snapshot().signing_keys, issuer, statement, now)
