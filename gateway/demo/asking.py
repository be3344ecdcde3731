"""Scenes of asking: what is served, what is refused and why, and what a retry costs."""

from hashlib import sha256

import grpc

from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1.disclosure_service_pb2 import RecordDraft
from creditgate.v1.operator_service_pb2 import (
    GetOperatorRequest,
    GetOperatorResponse,
    RevokeLicenceRequest,
    RevokeLicenceResponse,
)
from creditgate.v1.usage_service_pb2 import ListUsageRequest, ListUsageResponse
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.cli.calls import Gateway
from gateway.demo.account import Section, Step
from gateway.demo.cast import DEBARMENT, EVALUATION, PENALTY, PRICES
from gateway.demo.enrolment import REASON
from gateway.demo.invented import CORRECTED, EXPIRED
from gateway.demo.sources import About
from gateway.demo.stage import (
    CHECK,
    Player,
    Stage,
    answered,
    answered_by,
    found,
    outcome,
    shown_records,
)
from sdk.credentials import Credentials
from sdk.proxies import channel_options
from sdk.request_ids import new_request_id
from sdk.tokens import AsyncTokenSource

_UNKNOWN_TOKEN = "this.is.no-token"  # noqa: S105  # it opens nothing, which is what it is for


async def allowed(stage: Stage) -> Section:
    """Ask for what is licensed."""
    penalty = stage.invented.to_correct
    answer = await stage.alpha.subject(CORRECTED)
    basic_and_adverse = PRICES["basic"] + PRICES["adverse"]
    steps = [
        Step(
            "alpha",
            "asks for an invented company, for a supplier check",
            answered(2, basic_and_adverse),
            answered_by(answer),
        ),
        Step(
            "alpha",
            "compares the penalty with what was published",
            "the same bytes, period and digest",
            _sameness(penalty, answer),
        ),
    ]
    sheets = [shown_records(answer.records)]
    for name, player in (("alpha", stage.alpha), ("beta", stage.beta)):
        real = _first_real(stage, player)
        if real is None:
            continue
        record_id, about = real
        got = await player.record(record_id)
        steps.append(
            Step(
                name,
                "asks for a current record of the files",
                f"the record named, of {about.subject}",
                _named(got, record_id),
            )
        )
        sheets.append(shown_records(got.records))
    return Section("What a licence allows is served", tuple(steps), tuple(sheets))


async def refused(stage: Stage, gamma_licence: str) -> Section:
    """Ask for what is not allowed, in every way."""
    await stage.administrator.ask(
        RevokeLicenceRequest(number=gamma_licence, reason=REASON), RevokeLicenceResponse
    )
    alpha, beta, gamma = stage.alpha, stage.beta, stage.gamma
    before = await _entries(alpha)
    real_expired = next(iter(stage.loaded.expired), None)
    tokens = AsyncTokenSource(_credentials(stage, beta))
    try:
        betas_token = await tokens.token()
    finally:
        await tokens.close()
    attempts = [
        ("gamma", "asks although its licence was revoked", "NO_LICENCE", gamma.subject(CORRECTED)),
        (
            "beta",
            "asks for penalties, an item outside its licence",
            "ITEM_NOT_ALLOWED",
            beta.subject(CORRECTED, PENALTY),
        ),
        (
            "beta",
            "asks for bidding, a purpose its grant leaves out",
            "PURPOSE_NOT_ALLOWED",
            beta.subject(CORRECTED, DEBARMENT, purpose=Purpose.PURPOSE_BIDDING),
        ),
        (
            "alpha",
            "asks for an evaluation without the company's consent",
            "CONSENT_REQUIRED",
            alpha.subject(CORRECTED, EVALUATION),
        ),
        (
            "alpha",
            "asks for a method of administrators",
            "SCOPE_NOT_GRANTED",
            alpha.gateway.ask(
                GetOperatorRequest(operator_id=beta.party.operator_id), GetOperatorResponse
            ),
        ),
        (
            "alpha",
            "asks for an invented record whose period is over",
            "RECORD_NOT_DISCLOSED",
            alpha.record(stage.invented.expired.record_id),
        ),
        (
            "alpha",
            "asks for a record that never was: the same answer",
            "RECORD_NOT_DISCLOSED",
            alpha.record("demo-never-was"),
        ),
        ("alpha", "comes without a token", "TOKEN_MISSING", _with_token(stage, alpha, None)),
        (
            "alpha",
            "comes with an unknown token",
            "TOKEN_INVALID",
            _with_token(stage, alpha, _UNKNOWN_TOKEN),
        ),
        (
            "alpha",
            "comes with the token of beta",
            "TOKEN_NOT_YOURS",
            _with_token(stage, alpha, betas_token),
        ),
    ]
    if real_expired is not None:
        attempts.append(
            (
                "alpha",
                "asks for a record of the files whose period is over",
                "RECORD_NOT_DISCLOSED",
                alpha.record(real_expired),
            )
        )
    steps = [
        Step(who, what, expected, await outcome(call)) for who, what, expected, call in attempts
    ]
    steps.append(
        Step(
            "alpha",
            "counts its usage entries",
            f"{before} as before",
            f"{await _entries(alpha)} as before",
        )
    )
    left_out = await alpha.subject(EXPIRED)
    steps.append(
        Step(
            "alpha",
            "asks for the company of the expired penalty",
            "1 record, the penalty left out",
            f"{len(left_out.records)} record, the penalty "
            + (
                "left out"
                if not found(left_out.records, stage.invented.expired.record_id)
                else "in"
            ),
        )
    )
    return Section("What is not allowed is refused, and costs nothing", tuple(steps))


async def retried(stage: Stage) -> Section:
    """Ask twice with one request id."""
    request_id = new_request_id()
    first = await stage.alpha.subject(CORRECTED, request_id=request_id)
    again = await stage.alpha.subject(CORRECTED, request_id=request_id)
    other = await outcome(stage.alpha.subject(EXPIRED, request_id=request_id))
    return Section(
        "A retry costs nothing",
        (
            Step(
                "alpha",
                "asks",
                answered(2, PRICES["basic"] + PRICES["adverse"]),
                answered_by(first),
            ),
            Step(
                "alpha",
                "asks again with the same request id",
                f"{answered(2, 0)}, a retry",
                answered_by(again) + (", a retry" if again.receipt.replayed else ", not a retry"),
            ),
            Step("alpha", "uses the request id for another company", "REQUEST_ID_REUSED", other),
        ),
    )


def _first_real(stage: Stage, player: Player) -> tuple[str, About] | None:
    """Return the first current record of the files that the player may have."""
    named = next(iter(player.party.grants)).items or player.party.items
    return next(
        (
            (record_id, about)
            for record_id, about in stage.loaded.current.items()
            if about.item in named
        ),
        None,
    )


def _named(answer: pb.GetRecordResponse, record_id: str) -> str:
    record = found(answer.records, record_id)
    return "another record" if record is None else f"the record named, of {record.subject}"


def _sameness(draft: RecordDraft, answer: pb.GetSubjectRecordsResponse) -> str:
    record = found(answer.records, draft.record_id)
    same = (
        record is not None
        and record.content == draft.content
        and record.content_digest == sha256(draft.content).digest()
        and record.disclosed_from == draft.disclosed_from
        and record.disclosed_until == draft.disclosed_until
    )
    return "the same bytes, period and digest" if same else "something else"


async def _entries(player: Player) -> int:
    """Return how many usage entries the operator has."""
    listed = await player.gateway.every_page(ListUsageRequest(page_size=1_000), ListUsageResponse)
    return len(listed.entries)


def _credentials(stage: Stage, player: Player) -> Credentials:
    return Credentials.load(stage.home.profile(player.party.client_id))


async def _with_token(stage: Stage, player: Player, token: str | None) -> None:
    """Call on the player's own connection with a token of one's choice, or none."""
    credentials = _credentials(stage, player)
    tls = grpc.ssl_channel_credentials(
        credentials.ca.read_bytes(),
        credentials.key.read_bytes(),
        credentials.certificate.read_bytes(),
    )
    request = pb.GetSubjectRecordsRequest(
        subject=CORRECTED, purpose=CHECK, request_id=new_request_id()
    )
    direct = channel_options(credentials.grpc)
    async with grpc.aio.secure_channel(credentials.grpc, tls, options=direct) as channel:
        metadata = () if token is None else (("authorization", f"Bearer {token}"),)
        await Gateway(channel).ask(request, pb.GetSubjectRecordsResponse, metadata)
