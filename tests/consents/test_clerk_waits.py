"""A lock that the clerk is not given, such as one that somebody holds who looks at PostgreSQL by hand,
keeps one consent waiting and none of the others."""

from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import pytest
from sqlalchemy import Select, select

from consent.changing import Act
from consent.model import Actor, Consent
from consent.states import EXPIRED, GRANTED, PAUSED
from consent.tables import CONSENT
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.consents.clerk import ConsentClerk
from gateway.oauth.grants import SqlOAuthGrants, insert_code
from gateway.oauth.secret import digest_of
from gateway.oauth.tables import CODE
from gateway.oauth.terms import CodeTerms, GrantTerms
from gateway.storage.bounded import bounded
from operators.authorization_details import TYPE, AuthorizationDetail
from tests.clock import NOW
from tests.consents.counter import DAY, OTHER, set_operator
from tests.consents.test_clerk import Office
from tests.installation import eventually
from tests.stores import PostgresStores

_CLIENT: Final = "beta-one"
_SUSPENDED: Final = OperatorState.OPERATOR_STATE_SUSPENDED


@pytest.fixture
def office(postgres_stores: PostgresStores) -> Iterator[Office]:
    """Stores of PostgreSQL."""
    with postgres_stores.database() as store:
        opened = Office(store)
        yield opened
        opened.installation.close()


@contextmanager
def _held(office: Office, rows: Select[tuple[object]]) -> Generator[None]:
    with office.installation.engines.evidence.begin() as by_hand:
        assert by_hand.execute(rows.with_for_update()).all()
        yield


def _row(consent: Consent) -> Select[tuple[object]]:
    return select(CONSENT.c.version).where(CONSENT.c.consent_id == consent.consent_id)


def _keep_code(office: Office, consent: Consent) -> None:
    detail = AuthorizationDetail.model_validate(
        {"type": TYPE, "items": ["payment.tax"], "consent": consent.name}
    )
    granted = GrantTerms(
        principal="representative:li", scope="", details=(detail,), auth_time=NOW, acr=""
    )
    terms = CodeTerms(
        redirect_uri="https://client.test/back", code_challenge="", jkt=None, granted=granted
    )
    with bounded(office.installation.engines.authority) as connection:
        insert_code(connection, consent.consent_id, _CLIENT, terms, NOW)


@asynccontextmanager
async def _withdrawing(office: Office, grants: SqlOAuthGrants) -> AsyncGenerator[None]:
    clerk = ConsentClerk(
        office.consents,
        office.installation.engines.records,
        office.installation.log,
        lambda: (OTHER,),
        lambda consent: grants.end_for_consent(consent, NOW),
        office.clock,
        0.01,
    )
    await clerk.start()
    try:
        yield
    finally:
        await clerk.stop()


async def test_what_rests_on_other_consents_ends_where_a_code_of_one_is_held(
    office: Office,
) -> None:
    grants = SqlOAuthGrants(office.installation.engines.authority)
    held, *others = consents = [office.given() for _ in range(3)]
    for each in consents:
        _keep_code(office, each)
        # Whoever revokes is cut off before the grants end.
        office.consents.move(each.consent_id, "revoke", Act(Actor.SUBJECT, "", "", NOW))

    async def ended() -> bool:
        return all(grants.code(each.consent_id, _CLIENT, NOW) is None for each in others)

    async def all_ended() -> bool:
        return grants.code(held.consent_id, _CLIENT, NOW) is None

    code = select(CODE.c.digest).where(CODE.c.digest == digest_of(held.consent_id))
    async with _withdrawing(office, grants):
        with _held(office, code):
            await eventually(ended)
            assert not await all_ended()
        await eventually(all_ended)


async def test_other_consents_end_in_time_where_one_is_held(office: Office) -> None:
    held = office.given(valid_until=NOW + DAY - 60)
    others = [office.given() for _ in range(2)]
    async with office.working():
        with _held(office, _row(held)):
            office.clock.at = NOW + DAY
            for each in others:
                await office.comes_to(each, EXPIRED)
            assert office.state(held) == GRANTED
        await office.comes_to(held, EXPIRED)


async def test_other_consents_of_an_operator_are_paused_where_one_is_held(office: Office) -> None:
    held, *others = sorted((office.given() for _ in range(3)), key=lambda each: each.consent_id)
    with _held(office, _row(held)):
        set_operator(office.installation, _SUSPENDED)
        async with office.working():
            for each in others:
                await office.comes_to(each, PAUSED)
            assert office.state(held) == GRANTED
    async with office.working():
        await office.comes_to(held, PAUSED)
