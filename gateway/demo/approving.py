"""Scene of the code flow: a company consents where an operator's application sends it."""

import asyncio
import json
from typing import Final

from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsResponse
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.cli.calls import Gateway
from gateway.cli.code_flow import CodeFlow
from gateway.cli.login import REDIRECT_URI
from gateway.cli.output import several
from gateway.cli.signed_in import PersonTokens, SignedIn
from gateway.clock import SystemClock
from gateway.demo.account import Section, Step
from gateway.demo.cast import EVALUATION
from gateway.demo.changing import settled
from gateway.demo.consenting import GIVEN, LOAN
from gateway.demo.enrolment import Enrolment
from gateway.demo.invented import CORRECTED
from gateway.demo.representing import LI_MING, Representative
from gateway.demo.stage import Player, Stage, outcome
from operators.authorization_details import TYPE
from sdk.connection import connect
from sdk.credentials import Credentials

_PORTAL: Final = "alpha-portal"
_READ: Final = "credit.records:read"
_DAY: Final = 86_400


async def approved(stage: Stage, li_ming: Representative) -> Section:
    """Send the company's browser from a new client of alpha to the gateway and back."""
    party = stage.alpha.party
    await Enrolment(stage.administrator, stage.home, SystemClock()).client(
        _PORTAL,
        ClientRole.CLIENT_ROLE_OPERATOR,
        operator_id=party.operator_id,
        grant_types=("authorization_code", "refresh_token"),
        redirect_uris=(REDIRECT_URI,),
    )
    profile = stage.home.profile(_PORTAL)
    served = Credentials.load(stage.home.profile(party.client_id))
    credentials = Credentials.load(profile).model_copy(
        update={"grpc": served.grpc, "issuer": served.issuer}
    )
    person = await _token(credentials, li_ming)
    tokens = PersonTokens(profile, credentials, person)
    async with await connect(credentials, tokens=tokens) as channel:
        portal = Player(party, Gateway(channel), stage.alpha.charges)
        name = await _of_portal(stage)

        async def use() -> GetSubjectRecordsResponse:
            return await portal.subject(CORRECTED, EVALUATION, purpose=LOAN, consent=name)

        given = await li_ming.state(name)
        answer = await use()
        state = await li_ming.revoke(name)
        ended = await settled(lambda: outcome(use()), "CONSENT_REVOKED")
    fields = sorted({field for record in answer.records for field in record.served_fields})
    return Section(
        "By authorisation code, the token is bound to the consent and ends with it",
        (
            Step(
                LI_MING,
                "comes from alpha's application, consents, and is sent back to it",
                GIVEN,
                given,
            ),
            Step("alpha", "asks by the token it got", "grade alone", f"{several(fields)} alone"),
            Step(LI_MING, "takes the consent back", "revoked", state),
            Step("alpha", "asks by the same token", "TOKEN_REVOKED", ended),
        ),
    )


async def _token(credentials: Credentials, li_ming: Representative) -> SignedIn:
    """Return the token that a code brings which the company's representative approved."""
    detail = {
        "type": TYPE,
        "items": [EVALUATION],
        "subjects": [CORRECTED],
        "purposes": ["CREDIT_APPROVAL"],
        "regions": ["*"],
        "period": {"until": SystemClock().now() + 7 * _DAY},
        "consent_terms": {
            "access_mode": "WITHIN_PERIOD",
            "data_life": 7 * _DAY,
            "data_life_end": "DELETE",
            "fields": {EVALUATION: ["grade"]},
        },
    }
    details = {"authorization_details": json.dumps([detail])}
    flow = CodeFlow(credentials)
    try:
        begun = await asyncio.to_thread(flow.begin, REDIRECT_URI, (_READ,), details)
        answer = await li_ming.approve(begun)
        asked_at = SystemClock().now()
        tokens = await asyncio.to_thread(flow.finish, begun, answer)
    finally:
        flow.close()
    return SignedIn.of(credentials, tokens, asked_at)


async def _of_portal(stage: Stage) -> str:
    """Return the name of the one consent that the portal asked for."""
    listed = await stage.alpha.gateway.ask(
        pb.ListConsentsRequest(subject=CORRECTED), pb.ListConsentsResponse
    )
    (name,) = (consent.name for consent in listed.consents if consent.client_id == _PORTAL)
    return name
