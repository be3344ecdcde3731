"""Tokens asked for by a managed scope, over the real authorisation server and gRPC (G3, G4)."""

import time
from typing import Any

import grpc
import pytest

from operators.model import SCOPE_GRANT, ScopeGrant
from operators.scope_definition import SCOPE_DEFINITION, ScopeDefinition
from sdk.refusals import explain
from sdk.tokens import TokenRefused
from tests.installation import (
    CONSENT_ITEM,
    OPERATOR_ID,
    PUBLIC_ITEM,
    PUBLISHER,
    Installation,
    company,
    eventually,
)
from tests.server.calls import draft, publish, query

NAME = "credit.records.suppliers:read"
DEFINITION = ScopeDefinition(
    name=NAME,
    scopes=frozenset({"credit.records:read"}),
    items=frozenset({PUBLIC_ITEM}),
    title_zh="供应商核验",
    title_en="Checks of suppliers",
)


@pytest.fixture
def managed(installation: Installation) -> Installation:
    """An installation with a managed scope granted to the operator."""
    return _granted(installation)


@pytest.fixture
def managed_here(embedded: Installation) -> Installation:
    """As `managed`, on SQLite."""
    return _granted(embedded)


def _granted(installation: Installation) -> Installation:
    installation.keep(SCOPE_DEFINITION, NAME, DEFINITION)
    granted = ScopeGrant(
        grant_id="G-MANAGED",
        grantee=OPERATOR_ID,
        scope=NAME,
        valid_from=installation.clock.now() - 1,
    )
    installation.keep(SCOPE_GRANT, granted.grant_id, granted)
    return installation


async def _reason(channel: grpc.aio.Channel, **asked: Any) -> str:
    """Return why a query is refused, "" when it is served."""
    try:
        await query(channel, **asked)
    except grpc.aio.AioRpcError as error:
        return explain(error).reason
    return ""


async def test_a_token_of_a_managed_scope_takes_what_its_definition_opens_and_no_more(
    managed_here: Installation,
) -> None:
    async with managed_here.running() as gateway:
        async with gateway.channel(PUBLISHER) as channel:
            await publish(channel, [draft("r-1", company(1))])
        async with gateway.channel(scopes=(NAME,)) as channel:
            assert len((await query(channel)).records) == 1
            assert await _reason(channel, items=[CONSENT_ITEM]) == "ITEM_NOT_ALLOWED"
        async with gateway.channel(scopes=("credit.records:read",)) as channel:
            # Open to the operator by another grant: then the reason is the missing consent.
            assert await _reason(channel, items=[CONSENT_ITEM]) == "CONSENT_REQUIRED"


async def test_a_token_is_given_for_a_managed_scope_only_while_that_is_granted(
    managed_here: Installation,
) -> None:
    async with managed_here.running() as gateway:
        with pytest.raises(TokenRefused) as refused:
            async with gateway.channel(scopes=("credit.records.unheard:read",)):
                pass
        assert refused.value.error == "invalid_scope"
        retired = DEFINITION.model_copy(update={"retired_at": managed_here.clock.now()})
        managed_here.keep(SCOPE_DEFINITION, NAME, retired)

        async def refused_now() -> bool:
            try:
                async with gateway.channel(scopes=(NAME,)):
                    return False
            except TokenRefused as error:
                return error.error == "invalid_scope"

        assert await eventually(refused_now) < 1


async def test_retiring_a_scope_stops_tokens_of_it_within_a_second(managed: Installation) -> None:
    async with managed.running() as gateway, gateway.channel(scopes=(NAME,)) as channel:
        assert await _reason(channel) == ""
        retired = DEFINITION.model_copy(update={"retired_at": managed.clock.now()})
        managed.keep(SCOPE_DEFINITION, NAME, retired)
        retired_at = last_served = time.monotonic()
        while not (reason := await _reason(channel)):
            last_served = time.monotonic()
            assert last_served - retired_at < 5
        assert reason == "SCOPE_NOT_GRANTED"
        assert last_served - retired_at < 1
