"""Clearing with other regions (地区间清算): by region and day what is agreed and owed, what is in
dispute with its evidence, and whose version stands."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from google.protobuf.json_format import MessageToJson
from google.protobuf.timestamp_pb2 import Timestamp
from starlette.responses import Response

from creditgate.v1 import clearing_service_pb2 as pb
from creditgate.v1.federation_service_pb2 import ClearingEntry, ClearingEvidence
from creditgate.v1.usage_log_pb2 import UsageLeaf
from gateway.console.visit import Visit
from gateway.console.words import DISPUTE_KINDS, STANDS
from gateway.pages.money import yuan
from gateway.pages.rendering import GUARDS
from gateway.pages.troubles import NotShown
from gateway.pages.words import said
from sdk.clearings import leaf_of

_DAY: Final = timedelta(days=1)
_MOST_DISPUTES: Final = 50
_MOST_EVIDENCE: Final = 50
"""Most disputes whose evidence is on a page."""
_MOST_FILE_PAGES: Final = 200
"""Most pages of disputes in a file: whoever has more keeps it by command."""
_STANDS: Final = {
    "home": pb.ClearingStand.CLEARING_STAND_HOME,
    "asking": pb.ClearingStand.CLEARING_STAND_ASKING,
}


class Cleared(NamedTuple):
    """A clearing in words; ``until`` names it in addresses."""

    clearing: pb.Clearing
    day: str
    until: str
    owed: str
    due: str
    net: str


class Version(NamedTuple):
    """One side's version of a disputed answer: ``entry`` is the first of its ``entries``, None
    where it has none; ``side`` is the form's word for it, ``digest`` what it is named by."""

    side: str
    name: str
    entry: ClearingEntry | None
    entries: int
    fee: str
    digest: str


class Disputed(NamedTuple):
    """A dispute in words; ``until`` names the clearing that has its evidence."""

    dispute: pb.ClearingDispute
    kind: str
    versions: tuple[Version, Version]
    supported: str
    stands: str
    until: str


class Beyond(NamedTuple):
    """What a month comes to beyond list prices, in words."""

    amount: pb.ClearingAmount
    listed: str
    rated: str
    due: str


class Peer(NamedTuple):
    """How it stands with a region, and the most that is accepted of it, in words."""

    peer: pb.ClearingPeer
    record: str
    month: str


class Shown(NamedTuple):
    """A piece of evidence: what it is, and the use that it proves."""

    kind: str
    leaf: UsageLeaf
    fee: str


class Net(NamedTuple):
    """What is owed with a region by all clearings, in words."""

    region: str
    clearings: int
    owed: str
    due: str
    net: str


async def show(visit: Visit) -> Response:
    """Show how clearing stands with each region, a page of clearings, and of open disputes."""
    _require_served(visit)
    where = _where(visit)
    listed = await visit.ask(
        pb.ListClearingsRequest(page_size=20, page_token=where["page"]),
        pb.ListClearingsResponse,
    )
    disputes = await visit.ask(
        pb.ListClearingDisputesRequest(page_size=_MOST_DISPUTES, page_token=where["disputes"]),
        pb.ListClearingDisputesResponse,
    )
    nets = await visit.ask(pb.GetClearingNetsRequest(), pb.GetClearingNetsResponse)
    return visit.page(
        "clearing.html",
        tab="/clearing",
        peers=[_peer(visit, each) for each in listed.peers],
        cleared=[_cleared(visit, each) for each in listed.clearings],
        where=where,
        more=listed.next_page_token,
        disputes=[_disputed(visit, each) for each in disputes.disputes],
        more_disputes=disputes.next_page_token,
        nets=list(_nets(visit, nets.nets)),
        net=yuan(nets.net_micro_yuan, visit.language),
        may_resolve=visit.deed(pb.ResolveClearingDisputeRequest),
    )


async def show_day(visit: Visit) -> Response:
    """Show one clearing with the evidence at hand on its disputes, a page of them."""
    token = visit.request.query_params.get("page", "")
    first = await _asked(visit)
    answer = await _asked(visit, token) if token else first
    return visit.page(
        "clearing_day.html",
        tab="/clearing",
        cleared=_cleared(visit, first.clearing),
        more=answer.next_page_token,
        beyond=[_beyond(visit, each) for each in first.amounts],
        evidence=[shown for each in answer.evidence if (shown := _shown(visit, each)) is not None],
    )


async def download(visit: Visit) -> Response:
    """Give a clearing with its signatures, disputes and evidence, for `creditgate-verify clearing`:
    as far as a file of a bounded size has them."""
    answer = await _asked(visit)
    for _ in range(_MOST_FILE_PAGES):
        if not answer.next_page_token:
            break
        page = await _asked(visit, answer.next_page_token)
        answer.MergeFrom(page)
        answer.next_page_token = page.next_page_token
    answer.ClearField("next_page_token")
    at = datetime.fromtimestamp(answer.clearing.until_time.seconds, UTC)
    name = f"clearing-{at:%Y-%m-%dT%H%M%S}.json"
    headers = {**GUARDS, "Content-Disposition": f'attachment; filename="{name}"'}
    text = MessageToJson(answer, preserving_proto_field_name=True, ensure_ascii=False)
    return Response(text, media_type="application/json", headers=headers)


async def resolve(visit: Visit) -> Response:
    """Say whose version of a disputed answer stands: that which the page showed."""
    _require_served(visit)
    dispute_id = visit.named("dispute_id")
    form = await visit.form("resolve", dispute_id)
    side = form.get("stands", "")
    if side not in _STANDS:
        raise NotShown("changed")
    await visit.ask(
        pb.ResolveClearingDisputeRequest(
            dispute_id=dispute_id,
            stands=_STANDS[side],
            version=form.get(f"{side}_version", ""),
            note=form.get("reason", ""),
        ),
        pb.ResolveClearingDisputeResponse,
    )
    return visit.sent_on("/clearing", done="resolved", **_where(visit))


def _where(visit: Visit) -> dict[str, str]:
    """Return the query of the page that is shown, or whose form was sent, as `alerts` has it."""
    query = visit.request.query_params
    return {"page": query.get("page", ""), "disputes": query.get("disputes", "")}


def _require_served(visit: Visit) -> None:
    """Raise NotShown "missing" where this gateway is in no federation, and clears nothing."""
    if not visit.parts.office.scope_of(pb.ListClearingsRequest):
        raise NotShown("missing")


async def _asked(visit: Visit, token: str = "") -> pb.GetClearingResponse:
    _require_served(visit)
    until, region = visit.named("until"), visit.request.query_params.get("region", "")
    if not (until.isascii() and until.isdigit() and len(until) <= 12):
        raise NotShown("missing")
    request = pb.GetClearingRequest(
        region=region,
        until_time=Timestamp(seconds=int(until)),
        page_size=_MOST_EVIDENCE,
        page_token=token,
    )
    return await visit.ask(request, pb.GetClearingResponse)


def _cleared(visit: Visit, clearing: pb.Clearing) -> Cleared:
    until = clearing.until_time.seconds
    owed, due = clearing.owed_micro_yuan, clearing.due_micro_yuan
    return Cleared(
        clearing, _day(until), str(until), *(_yuan(visit, each) for each in (owed, due, due - owed))
    )


def _beyond(visit: Visit, amount: pb.ClearingAmount) -> Beyond:
    amounts = (amount.listed_micro_yuan, amount.rated_micro_yuan, amount.amount_micro_yuan)
    return Beyond(amount, *(_yuan(visit, each) for each in amounts))


def _peer(visit: Visit, peer: pb.ClearingPeer) -> Peer:
    ceiling, none = peer.ceiling, visit.say("不设上限", "none")
    record = ceiling.HasField("record_micro_yuan")
    month = ceiling.HasField("month_micro_yuan")
    return Peer(
        peer,
        _yuan(visit, ceiling.record_micro_yuan) if record else none,
        _yuan(visit, ceiling.month_micro_yuan) if month else none,
    )


def _day(until: int) -> str:
    """Return the day that a clearing up to an instant is of, or the instant: UTC, as ledgers are
    cleared."""
    end = datetime.fromtimestamp(until, UTC)
    if end.time() != datetime.min.time():
        return f"{end:%Y-%m-%d %H:%M:%S} UTC"
    return f"{end - _DAY:%Y-%m-%d} UTC"


def _disputed(visit: Visit, dispute: pb.ClearingDispute) -> Disputed:
    versions = (
        _version(visit, "home", dispute, dispute.home_version),
        _version(visit, "asking", dispute, dispute.asking_version),
    )
    return Disputed(
        dispute,
        said(visit.language, DISPUTE_KINDS[dispute.kind]),
        versions,
        said(visit.language, STANDS[dispute.supported]),
        said(visit.language, STANDS[dispute.stands]),
        str(dispute.find_time.seconds),
    )


def _version(visit: Visit, side: str, dispute: pb.ClearingDispute, digest: str) -> Version:
    entry: ClearingEntry | None = getattr(dispute, f"{side}_entry") if digest else None
    name = said(visit.language, STANDS[_STANDS[side]])
    version: pb.ClearingVersion = getattr(dispute, side)
    fee = "" if entry is None else _yuan(visit, version.fee_micro_yuan)
    return Version(side, name, entry, version.entries, fee, digest)


def _shown(visit: Visit, evidence: ClearingEvidence) -> Shown | None:
    """Return what a piece of evidence proves, None of one that cannot be read."""
    leaf = leaf_of(evidence)
    if leaf is None:
        return None
    is_receipt = evidence.WhichOneof("evidence") == "receipt"
    kind = (
        visit.say("来源地区签名的计费回执", "Receipt signed by the home region")
        if is_receipt
        else visit.say("来源地区用量日志中的一项", "Leaf of the home region's usage log")
    )
    return Shown(kind, leaf, _yuan(visit, leaf.fee_micro_yuan))


def _nets(visit: Visit, nets: Iterable[pb.ClearingNet]) -> Iterable[Net]:
    for each in nets:
        amounts: tuple[Any, ...] = (
            each.owed_micro_yuan,
            each.due_micro_yuan,
            each.net_micro_yuan,
        )
        yield Net(each.region, each.clearings, *(_yuan(visit, amount) for amount in amounts))


def _yuan(visit: Visit, amount: int) -> str:
    return yuan(amount, visit.language)
