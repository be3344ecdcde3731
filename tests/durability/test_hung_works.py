"""A process that is stopped (SIGSTOP) amid what it keeps for an operator, a client or a person keeps no
subject from taking a consent back, and nobody from signing in; once it goes on it has done nothing."""

import asyncio
from time import monotonic
from typing import Final

from sqlalchemy import Engine, Table, func, select

from consent.states import PAUSED, REVOKED
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.federation.asking.tables import REGION_ANSWERS
from gateway.oauth.grants import SqlOAuthGrants, insert_code
from gateway.oauth.tables import GRANT
from gateway.oauth.terms import CodeTerms, GrantTerms
from gateway.signin.identity import Identity
from gateway.signin.principals import Principals
from gateway.signin.sessions import Sessions
from gateway.signin.tables import SESSION
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from operators.authorization_details import TYPE, AuthorizationDetail
from tests.clock import NOW, StandingClock
from tests.consents.counter import furnish, id_of, open_counter
from tests.durability.stopped import SUBJECT, stopped
from tests.installation import eventually, furnished
from tests.stores import PostgresStores, engines_of

_SOON_SECONDS: Final = 2.5
_PATIENT_SECONDS: Final = 10
_CLIENT: Final = "alpha-one"


def _rows(engine: Engine, table: Table) -> int:
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


async def test_a_consent_is_taken_back_beside_who_hangs_with_what_another_region_gave_under_it(
    postgres_stores: PostgresStores,
) -> None:
    with furnished(postgres_stores) as installation:
        furnish(installation)
        records = installation.engines.records
        async with installation.running() as gateway, open_counter(gateway) as counter:
            given = await counter.given(await counter.published())
            async with stopped(records, "keep", id_of(given.name), str(counter.now)) as hung:
                began = monotonic()
                answer = await counter.operator.RevokeConsent(
                    pb.RevokeConsentRequest(name=given.name)
                )
                assert monotonic() - began < _SOON_SECONDS
                assert answer.consent.state == pb.CONSENT_STATE_REVOKED
                assert await hung.goes_on() == "undone"
        assert _rows(records, REGION_ANSWERS) == 0


def _keep_code(engine: Engine, consent: str, now: int) -> None:
    detail = AuthorizationDetail.model_validate(
        {"type": TYPE, "items": ["payment.tax"], "consent": consent}
    )
    granted = GrantTerms(
        principal="representative:li", scope="", details=(detail,), auth_time=now, acr=""
    )
    terms = CodeTerms(
        redirect_uri="https://client.test/back", code_challenge="", jkt=None, granted=granted
    )
    with bounded(engine) as connection:
        insert_code(connection, "code", _CLIENT, terms, now)


async def test_a_subject_takes_back_beside_who_hangs_with_a_code_and_the_clerk_goes_on(
    postgres_stores: PostgresStores,
) -> None:
    with furnished(postgres_stores) as installation:
        furnish(installation)
        engine = installation.engines.authority
        async with installation.running() as gateway, open_counter(gateway) as counter:
            given = await counter.given(await counter.published())
            of_another = await counter.given(await counter.published(), by=counter.rival)
            _keep_code(engine, given.name, counter.now)
            async with stopped(engine, "redeem", "code", _CLIENT, str(counter.now)) as hung:
                began = monotonic()
                revoking = asyncio.to_thread(counter.revoke, given)
                revoked = await asyncio.wait_for(revoking, _PATIENT_SECONDS)
                assert revoked.state == REVOKED
                assert monotonic() - began < _SOON_SECONDS
                counter.set_operator(OperatorState.OPERATOR_STATE_SUSPENDED)

                async def paused() -> bool:
                    kept = counter.consents.get(id_of(of_another.name))
                    return kept is not None and kept.state == PAUSED

                await eventually(paused)
                assert await hung.goes_on() == "undone"
            assert SqlOAuthGrants(engine).code("code", _CLIENT, counter.now) is None
        assert _rows(engine, GRANT) == 0


async def test_others_sign_in_beside_who_hangs_with_a_sign_in(
    postgres_stores: PostgresStores,
) -> None:
    with postgres_stores.database() as store, engines_of(*store) as engines:
        engine = engines.authority
        sessions = Sessions(engine, StandingClock(), Principals(b"0" * 32))
        async with stopped(engine, "sign-in", "li", str(NOW)) as hung:
            began = monotonic()
            person = Identity("https://idp.example", "wang", "", SUBJECT, NOW, "basic", "")
            signing_in = asyncio.to_thread(sessions.sign_in, sessions.browser(None), person)
            browser = await asyncio.wait_for(signing_in, _PATIENT_SECONDS)
            assert monotonic() - began < _SOON_SECONDS
            assert sessions.browser(browser.secret).identity is not None
            assert await hung.goes_on() == "undone"
        assert _rows(engine, SESSION) == 1
