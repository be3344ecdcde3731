"""RFC 7009: a client gives up its tokens, and nobody else's."""

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import text

from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from gateway.oauth.grants import SqlOAuthGrants
from gateway.oauth.revocation_log import SqlRevocationLog
from tests.oauth.assertions import claims_of, form_of, signed
from tests.oauth.tokens import (
    ask,
    grant,
    granted_token,
    introspect,
    revoke,
    signed_token,
    token_of,
)
from tests.oauth.world import CLIENT, OPERATOR, World, on_both_stores


@on_both_stores
async def test_revoked_access_token_is_worth_nothing_and_others_are(world: World) -> None:
    async with world.serving() as issuer:
        token, other = [await token_of(world, issuer, world.identity) for _ in range(2)]
        answer = await revoke(world, issuer, world.identity, token)
        assert (answer.status_code, answer.json()) == (200, {})
        assert answer.headers["cache-control"] == "no-store"
        told = [
            (await introspect(world, issuer, world.identity, t))["active"] for t in (token, other)
        ]
    assert told == [False, True]


@on_both_stores
async def test_revoked_refresh_token_takes_its_grant_and_access_tokens_along(world: World) -> None:
    grant_id, refresh_token = grant(world, CLIENT)
    kept_id, kept = grant(world, CLIENT)
    async with world.serving() as issuer:
        access = granted_token(world, issuer, world.identity, grant_id)
        answer = await revoke(world, issuer, world.identity, refresh_token)
        assert answer.status_code == 200
        for token in (access, refresh_token):
            assert await introspect(world, issuer, world.identity, token) == {"active": False}
        for token in (granted_token(world, issuer, world.identity, kept_id), kept):
            assert (await introspect(world, issuer, world.identity, token))["active"]
    assert SqlOAuthGrants(world.engine).get(grant_id, world.clock.now()) is None


@on_both_stores
async def test_revoked_access_token_of_a_grant_leaves_the_grant(world: World) -> None:
    grant_id, refresh_token = grant(world, CLIENT)
    async with world.serving() as issuer:
        access, other = [granted_token(world, issuer, world.identity, grant_id) for _ in range(2)]
        await revoke(world, issuer, world.identity, access)
        told = [
            (await introspect(world, issuer, world.identity, token))["active"]
            for token in (access, other, refresh_token)
        ]
    assert told == [False, True, True]


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", "\u00e9"])
async def test_any_hint_is_only_a_hint(world: World, hint: str) -> None:
    _, refresh_token = grant(world, CLIENT)
    async with world.serving() as issuer:
        access = await token_of(world, issuer, world.identity)
        for token in (access, refresh_token):
            answer = await revoke(world, issuer, world.identity, token, token_type_hint=hint)
            assert answer.status_code == 200
            assert await introspect(world, issuer, world.identity, token) == {"active": False}


async def test_unknown_expired_and_revoked_tokens_are_answered_alike(world: World) -> None:
    async with world.serving() as issuer:
        now = world.clock.now()
        revoked = await token_of(world, issuer, world.identity)
        await revoke(world, issuer, world.identity, revoked)
        before = len(SqlRevocationLog(world.engine).since(0))
        stranger = ECKey.generate_key("P-256")
        for token in (
            "nothing",
            "a.b.c",
            "\u4e2d\x00",
            "x" * 9_000,
            signed_token(world, issuer, world.identity, exp=now),
            signed_token(world, issuer, world.identity, iss="https://other.test"),
            signed({"jti": "x"}, stranger, alg="ES256", typ="at+jwt", kid="x"),
        ):
            answer = await revoke(world, issuer, world.identity, token)
            assert (answer.status_code, answer.json()) == (200, {})
        assert (await revoke(world, issuer, world.identity, revoked)).status_code == 200
    named = {each.revocation.id for each in SqlRevocationLog(world.engine).since(0)}
    assert (before, len(named)) == (1, 1), "only what could still be used is kept"


async def test_another_clients_tokens_are_refused_and_stay_as_they_are(world: World) -> None:
    sister = world.newcomer("alpha-two")
    world.register(sister, ClientRole.CLIENT_ROLE_OPERATOR, OPERATOR)
    _, refresh_token = grant(world, CLIENT)
    async with world.serving() as issuer:
        access = await token_of(world, issuer, world.identity)
        for thief in (sister, world.administrator):
            for token in (access, refresh_token):
                answer = await revoke(world, issuer, thief, token)
                assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        for token in (access, refresh_token):
            assert (await introspect(world, issuer, world.identity, token))["active"]


async def test_suspended_operator_may_still_give_up_tokens(world: World) -> None:
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity)
        world.change("operator", OPERATOR, state=OperatorState.OPERATOR_STATE_SUSPENDED)
        assert (await revoke(world, issuer, world.identity, token)).status_code == 200
        world.change("operator", OPERATOR, state=OperatorState.OPERATOR_STATE_ACTIVE)
        assert await introspect(world, issuer, world.identity, token) == {"active": False}


async def test_nobody_revokes_without_authentication(world: World) -> None:
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity)
        forged = signed(
            claims_of(world.identity, issuer, world.clock.now()),
            ECKey.generate_key("P-256"),
            alg="ES256",
        )
        for form in ({}, {"client_id": CLIENT}, form_of(forged)):
            answer = await world.post(
                issuer, {**form, "token": token}, world.identity.certificate, "/oauth/revoke"
            )
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")
        assert (await introspect(world, issuer, world.identity, token))["active"]


async def test_request_without_token_is_refused(world: World) -> None:
    async with world.serving() as issuer:
        answers = [
            await ask(world, issuer, path, world.identity, {})
            for path in ("/oauth/revoke", "/oauth/introspect")
        ]
    assert [each.json()["error"] for each in answers] == ["invalid_request"] * 2
    assert all("token" in each.json()["error_description"] for each in answers)


@on_both_stores
async def test_store_that_cannot_be_written_is_told_and_nothing_is_revoked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant_id, refresh_token = grant(world, CLIENT)
    known = world.snapshot()
    monkeypatch.setattr(world, "snapshot", lambda: known)
    async with world.serving() as issuer:
        access = await token_of(world, issuer, world.identity)
        with world.engine.begin() as connection:
            connection.execute(text("ALTER TABLE oauth_revocation RENAME TO away"))
        answers = [
            await revoke(world, issuer, world.identity, token) for token in (access, refresh_token)
        ]
        with world.engine.begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO oauth_revocation"))
    for answer in answers:
        assert answer.status_code == 503
        assert answer.json()["error"] == "temporarily_unavailable"
        assert answer.headers["retry-after"] == "1"
    assert SqlRevocationLog(world.engine).since(0) == ()
    assert SqlOAuthGrants(world.engine).get(grant_id, world.clock.now()) is not None
