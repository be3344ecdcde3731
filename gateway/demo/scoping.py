"""Scene of scopes: one of the administrator's own."""

from typing import Final

from creditgate.v1.operator_service_pb2 import (
    GrantScopesRequest,
    GrantScopesResponse,
    ScopeGrant,
)
from creditgate.v1.scope_service_pb2 import (
    CreateScopeDefinitionRequest,
    CreateScopeDefinitionResponse,
    RetireScopeDefinitionRequest,
    RetireScopeDefinitionResponse,
    ScopeDefinition,
)
from gateway.cli.calls import Gateway
from gateway.demo.account import Section, Step
from gateway.demo.cast import PENALTY, PRICES, REGISTRATION
from gateway.demo.changing import settled
from gateway.demo.enrolment import REASON
from gateway.demo.invented import CORRECTED
from gateway.demo.stage import SERVED, Player, Stage, answered, answered_by, outcome
from sdk.connection import connect
from sdk.credentials import Credentials

_NAME: Final = "credit.registrations:read"


async def scoped(stage: Stage) -> Section:
    """Define a scope, use a token of it, and retire it while the token lasts."""
    definition = ScopeDefinition(
        name=_NAME,
        scopes=["credit.records:read"],
        items=[REGISTRATION],
        title_zh="企业登记查询",
        title_en="Queries of registrations",
    )
    await stage.administrator.ask(
        CreateScopeDefinitionRequest(definition=definition, reason=REASON),
        CreateScopeDefinitionResponse,
    )
    party = stage.alpha.party
    grant = ScopeGrant(grantee=party.operator_id, scope=_NAME)
    await stage.administrator.ask(
        GrantScopesRequest(grants=[grant], reason=REASON), GrantScopesResponse
    )
    credentials = Credentials.load(stage.home.profile(party.client_id))
    async with await connect(credentials, scopes=(_NAME,)) as channel:
        narrow = Player(party, Gateway(channel), stage.alpha.charges)
        served = await narrow.subject(CORRECTED)
        beyond = await outcome(narrow.subject(CORRECTED, PENALTY))
        await stage.administrator.ask(
            RetireScopeDefinitionRequest(name=_NAME, reason=REASON), RetireScopeDefinitionResponse
        )
        retired = await settled(lambda: outcome(narrow.subject(CORRECTED)), SERVED)
    steps = (
        Step(
            "alpha",
            "asks with a token of a scope defined for registrations",
            answered(1, PRICES["basic"]),
            answered_by(served),
        ),
        Step("alpha", "asks for a penalty with that token", "ITEM_NOT_ALLOWED", beyond),
        Step("alpha", "asks after the scope was retired", "SCOPE_NOT_GRANTED", retired),
    )
    return Section("A scope of one's own narrows a token, and acts on it at once", steps)
