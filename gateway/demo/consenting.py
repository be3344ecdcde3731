"""Scenes of consent (授权): a company is asked, reads what for, and agrees to a part of it."""

import asyncio
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsResponse
from creditgate.v1.vocabulary_pb2 import Interval, Purpose
from gateway.cli.output import several, yuan
from gateway.cli.terms import show_consent_state
from gateway.clock import SystemClock
from gateway.demo.account import Section, Step
from gateway.demo.cast import EVALUATION, PRICES
from gateway.demo.invented import CORRECTED
from gateway.demo.representing import LI_MING, Representative
from gateway.demo.stage import Stage, outcome
from sdk.credentials import Credentials
from sdk.documents import DocumentRefused, document_keys
from sdk.receipts import verified_receipt
from sdk.request_ids import new_request_id

LOAN: Final = Purpose.PURPOSE_CREDIT_APPROVAL
GIVEN: Final = "granted"
_FIELDS: Final = ("grade", "method")
_RESULT: Final = ("evaluated_on", "grade")
_SIGNED: Final = "signed by the gateway, of this consent"
_DAY: Final = 86_400
_MONTH: Final = 30 * _DAY


async def consented(stage: Stage, li_ming: Representative) -> tuple[Section, str]:
    """Ask for a part of the evaluation, have it allowed, and use it; return its name too."""
    alpha = stage.alpha
    asked = await ask_consent(stage)
    name = asked.name

    async def use(purpose: Purpose.ValueType = LOAN) -> GetSubjectRecordsResponse:
        return await alpha.subject(CORRECTED, EVALUATION, purpose=purpose, consent=name)

    before = await outcome(use())
    given = await li_ming.consent(name)
    answer = await use()
    consent = await read_consent(stage, name)
    monitoring = Purpose.PURPOSE_POST_LOAN_MONITORING
    steps = (
        Step(
            "alpha",
            "asks a company for grade and method of its evaluation, for a loan",
            "requested",
            show_consent_state(asked.state),
        ),
        Step("alpha", "asks for them before there is an answer", "CONSENT_NOT_GRANTED", before),
        Step(LI_MING, "finds the request in the company's inbox and consents", GIVEN, given),
        Step(
            "alpha",
            "asks again, naming the consent",
            f"{several(_FIELDS)} alone, for {yuan(PRICES['evaluated'])} yuan",
            _disclosed(answer),
        ),
        Step(
            "alpha",
            "checks the receipt by the published keys",
            _SIGNED,
            await asyncio.to_thread(_receipt, stage, consent),
        ),
        Step(
            "alpha",
            "asks for a purpose the company did not consent to",
            "CONSENT_EXCEEDED",
            await outcome(use(monitoring)),
        ),
        Step(
            LI_MING,
            "looks who used the company's data by the consent",
            "1 use",
            f"{await li_ming.uses(name)} use",
        ),
    )
    title = "A company consents on its own page, to a part, for a purpose (授权)"
    return Section(title, steps), name


async def graded(stage: Stage, li_ming: Representative) -> Section:
    """Ask for the grade alone, once."""
    asked = await ask_consent(
        stage,
        items=[pb.ConsentItem(item=EVALUATION)],
        answer_form=pb.ConsentAnswerForm.CONSENT_ANSWER_FORM_GRADE,
        access_mode=pb.ConsentAccessMode.CONSENT_ACCESS_MODE_ONCE,
    )
    given = await li_ming.consent(asked.name)

    async def use() -> GetSubjectRecordsResponse:
        return await stage.alpha.subject(CORRECTED, EVALUATION, purpose=LOAN, consent=asked.name)

    answer = await use()
    return Section(
        "A grade without the records behind it, and once",
        (
            Step(LI_MING, "consents to the grade alone, once", GIVEN, given),
            Step(
                "alpha",
                "asks for it",
                f"{several(_RESULT)} alone, for {yuan(PRICES['evaluated'])} yuan",
                _disclosed(answer),
            ),
            Step("alpha", "asks a second time", "CONSENT_EXHAUSTED", await outcome(use())),
        ),
    )


async def ask_consent(stage: Stage, **changed: Any) -> pb.Consent:
    """Ask the company for a consent, by terms that ``changed`` replaces parts of.

    Raises grpc.RpcError.
    """
    now = SystemClock().now()
    usual: dict[str, Any] = {
        "items": [pb.ConsentItem(item=EVALUATION, fields=_FIELDS)],
        "purposes": [LOAN],
        "answer_form": pb.ConsentAnswerForm.CONSENT_ANSWER_FORM_RECORDS,
        "access_mode": pb.ConsentAccessMode.CONSENT_ACCESS_MODE_WITHIN_PERIOD,
        "validity": Interval(
            start_time=Timestamp(seconds=now), end_time=Timestamp(seconds=now + _MONTH)
        ),
        "data_life": Duration(seconds=_MONTH),
        "data_life_end": pb.DataLifeEnd.DATA_LIFE_END_DELETE,
        "regions": ["*"],
    }
    request = pb.RequestConsentRequest(
        subject=CORRECTED,
        terms=pb.ConsentTerms(**usual | changed),
        message="您申请的贷款需要核实（虚构）",
        request_id=new_request_id(),
    )
    answer = await stage.alpha.gateway.ask(request, pb.RequestConsentResponse)
    return answer.consent


async def read_consent(stage: Stage, name: str) -> pb.Consent:
    """Return a consent of alpha's as it stands. Raises grpc.RpcError."""
    answer = await stage.alpha.gateway.ask(pb.GetConsentRequest(name=name), pb.GetConsentResponse)
    return answer.consent


def _disclosed(answer: GetSubjectRecordsResponse) -> str:
    fields = sorted({field for record in answer.records for field in record.served_fields})
    return f"{several(fields)} alone, for {yuan(answer.receipt.charged_micro_yuan)} yuan"


def _receipt(stage: Stage, consent: pb.Consent) -> str:
    credentials = Credentials.load(stage.home.profile(stage.alpha.party.client_id))
    keys = document_keys(credentials)
    try:
        receipt = verified_receipt(consent.receipt, keys, credentials.issuer)
    except DocumentRefused as refused:
        return str(refused)
    return _SIGNED if receipt.document.consent == consent.name else "of another consent"
