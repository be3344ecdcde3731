"""Scenes of who acts for a company: a deputy, and consents that end with the operator's authority."""

from typing import Final

from creditgate.v1.operator_service_pb2 import RevokeOperatorRequest, RevokeOperatorResponse
from gateway.demo.account import Section, Step
from gateway.demo.changing import settled
from gateway.demo.consenting import GIVEN, ask_consent
from gateway.demo.enrolment import REASON
from gateway.demo.representing import LI_MING, Representative, deputy_of
from gateway.demo.stage import Stage

LIU_YANG: Final = "liu-yang"
"""The account of somebody who represents nobody."""
_REVOKED: Final = "revoked"
_BY_DEPUTY: Final = "受托人代贵单位同意授权"
_ENDED: Final = "主管部门取消了机构的资格，授权终止"
_TOLD: Final = "told"
_LINK: Final = "a link"
_SECONDS: Final = 5


async def deputised(stage: Stage, li_ming: Representative) -> tuple[Section, str]:
    """Have a deputy appointed who consents for the company; return the consent's name too."""
    asked = await ask_consent(stage)
    invitation = await li_ming.appoint("财务部刘洋（虚构）")
    async with deputy_of(stage.home, invitation, LIU_YANG) as deputy:
        given = await deputy.consent(asked.name)
    return Section(
        "A representative appoints a deputy, and is told what it did (委托代办)",
        (
            Step(
                LI_MING,
                "appoints a deputy who may answer requests, by a link",
                _LINK,
                _LINK if invitation else "none",
            ),
            Step(LIU_YANG, "accepts, finds the request in the inbox and consents", GIVEN, given),
            Step(LI_MING, "reads the notices", _TOLD, await _notice(li_ming, _BY_DEPUTY)),
        ),
    ), asked.name


async def ended(stage: Stage, li_ming: Representative, name: str) -> Section:
    """Revoke the operator of a consent for good."""
    await stage.administrator.ask(
        RevokeOperatorRequest(operator_id=stage.alpha.party.operator_id, reason=REASON),
        RevokeOperatorResponse,
    )

    async def state() -> str:
        return await li_ming.state(name)

    after = await settled(state, GIVEN, _SECONDS)
    return Section(
        "An operator that is revoked loses every consent, and each company is told",
        (
            Step(LI_MING, "looks at the consent the deputy gave", _REVOKED, after),
            Step(LI_MING, "reads the notices", _TOLD, await _notice(li_ming, _ENDED)),
        ),
    )


async def _notice(reader: Representative, words: str) -> str:
    return _TOLD if words in await reader.notices() else "nothing"
