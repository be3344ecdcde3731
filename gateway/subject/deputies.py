"""A delegation in words: what the deputy may do, within what, until when."""

from dataclasses import dataclass
from typing import Final

from consent.delegation import Delegation, Power, invites, live
from gateway.authority.view import AuthorityView
from gateway.consents.plain import item_name, purpose_name
from gateway.pages.moments import moment
from gateway.pages.rendering import Language
from gateway.pages.words import Words, joined, said
from gateway.subject.lines import operator_name

POWERS: Final[dict[Power, Words]] = {
    Power.ANSWER: ("答复授权请求（同意或不同意）", "answer requests (consent or refuse)"),
    Power.REVOKE: ("撤回授权", "revoke consents"),
    Power.SEE: ("查看授权和使用记录", "see consents and who used the data"),
    Power.REPORT: (
        "开具、下载和撤销单位的信用报告（不设下面的限制时有效）",
        "issue, download and take back the company's credit reports (only without limits)",
    ),
}


@dataclass(frozen=True, slots=True)
class DelegationLine:
    """One delegation. ``state`` is "live", "open" (not accepted yet) or "over".

    ``accepted`` is when it was accepted, "" if nobody did, and ``deputy`` the name that was told
    of who did, "" for none; ``meant`` is ``label`` where that is another.
    """

    delegation_id: str
    subject: str
    label: str
    powers: str
    limits: tuple[str, ...]
    until: str
    state: str
    state_words: str
    accepted: str
    deputy: str
    meant: str


def delegation_line(
    view: AuthorityView, delegation: Delegation, now: int, language: Language
) -> DelegationLine:
    """Return the line of one delegation at ``now`` (seconds, UTC)."""
    state, words = _state(delegation, now)
    return DelegationLine(
        delegation.delegation_id,
        delegation.subject,
        delegation.label,
        joined(
            (said(language, POWERS[each]) for each in Power if each in delegation.powers), language
        ),
        _limits(view, delegation, language),
        moment(delegation.valid_until, language),
        state,
        said(language, words),
        "" if delegation.accepted_at is None else moment(delegation.accepted_at, language),
        delegation.deputy_name,
        delegation.meant,
    )


def _limits(view: AuthorityView, delegation: Delegation, language: Language) -> tuple[str, ...]:
    parts = (
        (
            ("仅限信息：", "Only for: "),
            [item_name(view, each, language) for each in sorted(delegation.items)],
        ),
        (
            ("仅限用途：", "Only to be used for: "),
            [purpose_name(each, language) for each in sorted(delegation.purposes)],
        ),
        (
            ("仅限机构：", "Only with: "),
            [operator_name(view, each) for each in sorted(delegation.operators)],
        ),
    )
    return tuple(said(language, title) + joined(names, language) for title, names in parts if names)


def _state(delegation: Delegation, now: int) -> tuple[str, Words]:
    if delegation.ended_at is not None:
        given_up = delegation.ended_by == delegation.deputy and bool(delegation.deputy)
        return "over", ("受托人已辞去", "Given up") if given_up else ("已收回", "Withdrawn")
    if live(delegation, now):
        return "live", ("有效", "In force")
    if invites(delegation, now):
        return "open", ("待接受", "Not accepted yet")
    return "over", ("已过期", "Expired")
