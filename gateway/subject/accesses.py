"""Who used a company's records: every answer, newest first, by day."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from starlette.responses import Response

from consent.delegation import Power
from consent.model import NAME_PREFIX
from gateway.authority.view import AuthorityView
from gateway.consents.accesses import Access, Period, Place
from gateway.consents.given_again import GivenAgain
from gateway.consents.plain import item_name, purpose_name, region_name
from gateway.pages.moments import day, moment, time_of_day
from gateway.pages.rendering import Language
from gateway.pages.troubles import NotShown
from gateway.pages.words import said
from gateway.subject.lines import operator_name
from gateway.subject.naming import consent_id_of
from gateway.subject.standing import openable
from gateway.subject.visit import CompanyVisit

DAYS: Final = ("7", "30", "90")
"""How far back one can look at a choice; without a choice, all the way."""
_DAY: Final = 86_400
_PAGE: Final = 50
_PLACE: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class AccessLine:
    """Records of one item and division served in one answer, or none that it found. ``asking`` is
    for which of its operators another region asked, "" for none; ``disclosed_by`` the other region
    that disclosed them, "" for this one; ``recognised`` tells that what another region states of
    the item was recognised instead; ``under_consent`` that they rest on one, and ``consent_id`` on
    which, "" where that is not for the reader to see; ``again`` that the same was sent once more, ""
    where it was not."""

    at: str
    operator: str
    asking: str
    item: str
    purpose: str
    region: str
    disclosed_by: str
    records: int
    found: bool
    recognised: bool
    under_consent: bool
    consent_id: str
    again: str


async def show(visit: CompanyVisit) -> Response:
    """Show one page of uses, narrowed as the query says."""
    acting, parts, query = visit.acting, visit.parts, visit.request.query_params
    if not acting.may(Power.SEE):
        raise NotShown("missing")
    view, language = parts.view(), visit.language
    operator_id, days = query.get("operator", ""), query.get("days", "")
    operator_id = operator_id if operator_id in view.authority.operators else ""
    days = days if days in DAYS else ""
    consent_id = consent_id_of(query.get("consent", ""))
    # Before the uses: what is indexed meanwhile may be told, and is not said to be.
    complete_until = await asyncio.to_thread(parts.accesses.complete_until)
    page = await asyncio.to_thread(
        parts.accesses.of_subject,
        acting.subject,
        operator_id=operator_id,
        consent=f"{NAME_PREFIX}{consent_id}" if consent_id else "",
        period=Period(visit.now - int(days) * _DAY if days else None),
        before=_place(query.get("before", "")),
        limit=_PAGE,
    )
    seen = [
        each
        for each in page.accesses
        if acting.may_see_use(each.item, each.purpose, each.operator_id)
    ]
    named = {consent_id, *(_consent_of(each) for each in seen)} - {""}
    opens = await asyncio.to_thread(openable, parts.consents, acting, named)
    return await visit.shown(
        "accesses.html",
        tab="/accesses",
        days_of_uses=_by_day(view, seen, opens, language),
        operators=sorted(
            (each.display_name, each.operator_id) for each in view.authority.operators.values()
        ),
        operator=operator_id,
        days=days,
        all_days=DAYS,
        consent_id=consent_id,
        opens=consent_id in opens,
        first="before" not in query,
        next_before="" if page.before is None else "-".join(map(str, page.before)),
        complete_until=moment(complete_until, language),
    )


def _by_day(
    view: AuthorityView, accesses: list[Access], opens: Collection[str], language: Language
) -> list[tuple[str, list[AccessLine]]]:
    """Return the lines of each day, as the reader counts days."""
    return [
        (of_day, _lines(view, of_this_day, opens, language))
        for of_day, of_this_day in groupby(accesses, lambda each: day(each.served_at, language))
    ]


def _lines(
    view: AuthorityView, accesses: Iterable[Access], opens: Collection[str], language: Language
) -> list[AccessLine]:
    """Return a line for all records of an answer of which the same is told, wherever in it they
    stand."""
    together: dict[tuple[object, ...], list[Access]] = defaultdict(list)
    for each in accesses:
        together[_told(each)].append(each)
    return [_line(view, same[0], len(same), opens, language) for same in together.values()]


def _told(access: Access) -> tuple[object, ...]:
    """Return which answer a use is of, and what a line tells of it that is not of all the answer."""
    return (
        access.place.sequence,
        access.item,
        access.region,
        access.home_region,
        access.consent,
        bool(access.record_id),
        access.again,
    )


def _line(
    view: AuthorityView, access: Access, records: int, opens: Collection[str], language: Language
) -> AccessLine:
    consent_id = _consent_of(access)
    return AccessLine(
        at=time_of_day(access.served_at, language),
        operator=operator_name(view, access.operator_id),
        asking=access.asking_operator,
        item=item_name(view, access.item, language),
        purpose=purpose_name(access.purpose, language),
        region=region_name(access.region, language),
        disclosed_by=access.home_region.removeprefix("https://"),
        records=records,
        found=bool(access.record_id),
        recognised=access.recognised,
        under_consent=bool(consent_id),
        consent_id=consent_id if consent_id in opens else "",
        again="" if access.again is None else _again(access.again, bool(consent_id), language),
    )


def _consent_of(access: Access) -> str:
    return access.consent.removeprefix(NAME_PREFIX)


def _again(again: GivenAgain, under_consent: bool, language: Language) -> str:
    last = moment(again.last_at, language)
    times = "once" if again.times == 1 else f"{again.times} times"
    sent = (
        f"同一次查询的结果又发送了 {again.times} 次，最近一次：{last}，未另行计次",
        f"The same answer was sent again {times}, last on {last}; not counted as another use",
    )
    # What is public is kept while it is disclosed.
    kept = (
        ("，也不延长保存期", ", and does not let them keep it longer")
        if under_consent
        else ("", "")
    )
    return said(language, sent) + said(language, kept)


def _place(text: str) -> Place | None:
    matched = _PLACE.fullmatch(text)
    return None if matched is None else Place(int(matched[1]), int(matched[2]))
