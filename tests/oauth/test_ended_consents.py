"""Ending a consent ends codes, grants and tokens that rest on it, and nothing else (G3, G4)."""

from functools import partial
from threading import Barrier, Thread

import pytest
from sqlalchemy import func, select

from gateway.oauth.grants import CODE_SECONDS, REMEMBERED_SECONDS, SqlOAuthGrants, insert_code
from gateway.oauth.revocation_log import SqlRevocationLog
from gateway.oauth.revocations import Revocation
from gateway.oauth.secret import new_secret
from gateway.oauth.tables import GRANT_CONSENT
from gateway.oauth.terms import CodeTerms, GrantTerms
from operators.authorization_details import TYPE, AuthorizationDetail
from operators.model import TOKEN_EXCHANGE
from tests.oauth.code_flow import WITH_CODE, enrol, error_of
from tests.oauth.tokens import (
    GRANT_SECONDS,
    ask,
    exchange,
    grant,
    granted_token,
    introspect,
    signed_token,
)
from tests.oauth.world import CLIENT, READ, World, on_both_stores

CONSENT = "consents/0066a0c1d2-aa"
OTHER = "consents/0066a0c1d2-bb"
INACTIVE = {"active": False}


def detail(consent: str | None) -> AuthorizationDetail:
    """Return a detail that rests on a consent, or on none."""
    named = {} if consent is None else {"consent": consent}
    return AuthorizationDetail.model_validate({"type": TYPE, "items": ["payment.tax"], **named})


def new_code(world: World, *details: AuthorizationDetail) -> str:
    """Return a code that a person approved for these details."""
    now, code = world.clock.now(), new_secret()
    granted = GrantTerms(
        principal="representative:li", scope=READ, details=details, auth_time=now, acr=""
    )
    terms = CodeTerms(
        redirect_uri="https://client.test/back", code_challenge="", jkt=None, granted=granted
    )
    with world.engine.begin() as connection:
        insert_code(connection, code, CLIENT, terms, now)
    return code


@on_both_stores
async def test_all_that_rests_on_an_ended_consent_is_worth_nothing(world: World) -> None:
    enrol(world, grant_types=WITH_CODE | {TOKEN_EXCHANGE})
    carried = [detail(CONSENT).as_json()]
    grant_id, refresh_token = grant(world, CLIENT, READ, (detail(CONSENT),))
    async with world.serving() as issuer:
        access = granted_token(
            world, issuer, world.identity, grant_id, authorization_details=carried
        )
        machine = signed_token(world, issuer, world.identity, authorization_details=carried)
        derived = (await exchange(world, issuer, world.identity, machine)).json()["access_token"]
        assert SqlOAuthGrants(world.engine).end_for_consent(CONSENT, world.clock.now()) == 1
        for ended in (access, refresh_token, machine, derived):
            assert await introspect(world, issuer, world.identity, ended) == INACTIVE
        for held in (access, machine, derived):
            refused = await exchange(world, issuer, world.identity, held)
            assert error_of(refused) == (400, "invalid_request")
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        refused = await ask(world, issuer, "/oauth/token", world.identity, form)
        assert error_of(refused) == (400, "invalid_grant")


@on_both_stores
async def test_what_rests_on_another_consent_or_on_none_stands(world: World) -> None:
    grant(world, CLIENT, READ, (detail(CONSENT),))
    others = [grant(world, CLIENT, READ, (detail(named),)) for named in (OTHER, None)]
    async with world.serving() as issuer:
        tokens = [
            signed_token(world, issuer, world.identity, authorization_details=[named.as_json()])
            for named in (detail(OTHER), detail(None))
        ]
        assert SqlOAuthGrants(world.engine).end_for_consent(CONSENT, world.clock.now()) == 1
        for standing in (*tokens, *(refresh_token for _, refresh_token in others)):
            assert (await introspect(world, issuer, world.identity, standing))["active"]


@on_both_stores
def test_a_grant_that_rests_on_two_consents_ends_with_either(world: World) -> None:
    grants, now = SqlOAuthGrants(world.engine), world.clock.now()
    for ended in (CONSENT, OTHER):
        grant_id, _ = grant(world, CLIENT, READ, (detail(CONSENT), detail(OTHER)))
        assert grants.end_for_consent(ended, now) == 1
        assert grants.get(grant_id, now) is None
        assert grants.end_for_consent(ended, now) == 0, "a second end finds nothing that stands"


@on_both_stores
def test_a_code_not_redeemed_yet_gives_nothing_once_its_consent_ended(world: World) -> None:
    grants, now = SqlOAuthGrants(world.engine), world.clock.now()
    code = new_code(world, detail(CONSENT))
    held = grants.code(code, CLIENT, now)
    assert held is not None
    assert grants.end_for_consent(CONSENT, now) == 0
    assert grants.code(code, CLIENT, now) is None
    assert not grants.redeem(held, new_secret(), now + 60, now), "read before, redeemed after"
    assert grants.get(held.grant_id, now) is None


@on_both_stores
def test_a_code_redeemed_while_its_consent_ends_leaves_no_grant(world: World) -> None:
    """Whichever of the two comes first, on both stores."""
    now = world.clock.now()
    redeemer, ender = SqlOAuthGrants(world.engine), SqlOAuthGrants(world.engine)
    for number in range(10):
        consent = f"consents/{number}"
        code = redeemer.code(new_code(world, detail(consent)), CLIENT, now)
        assert code is not None
        barrier = Barrier(2)

        def redeem(gate: Barrier, redeeming: partial[bool]) -> None:
            gate.wait()
            redeeming()

        redeeming = partial(redeemer.redeem, code, new_secret(), now + 60, now)
        thread = Thread(target=redeem, args=(barrier, redeeming))
        thread.start()
        barrier.wait()
        ender.end_for_consent(consent, now)
        thread.join()
        assert redeemer.get(code.grant_id, now) is None


@on_both_stores
def test_every_process_is_told_the_consent_and_the_grants_that_ended(world: World) -> None:
    grant_id, _ = grant(world, CLIENT, READ, (detail(CONSENT), detail(None)))
    now = world.clock.now()
    SqlOAuthGrants(world.engine).end_for_consent(CONSENT, now)
    told = [entry.revocation for entry in SqlRevocationLog(world.engine).since(0)]
    # A token may be narrowed to the detail that names no consent: its grant stops it.
    assert told == [Revocation.of_consent(CONSENT, now), Revocation.of_grant(grant_id, now)]


@pytest.mark.parametrize("redeemed", [True, False])
@on_both_stores
def test_what_an_approval_rested_on_is_forgotten_with_it(world: World, redeemed: bool) -> None:
    if redeemed:
        grant(world, CLIENT, READ, (detail(CONSENT),))
        world.clock.seconds += GRANT_SECONDS
    else:
        new_code(world, detail(CONSENT))
        world.clock.seconds += CODE_SECONDS + REMEMBERED_SECONDS
    grant(world, CLIENT, READ, (detail(OTHER),))
    with world.engine.connect() as connection:
        left = connection.execute(select(GRANT_CONSENT.c.consent)).scalars().all()
        assert left == [OTHER]
        assert connection.execute(select(func.count()).select_from(GRANT_CONSENT)).scalar() == 1
