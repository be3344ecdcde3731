"""What the pages say of one consent in a list, and of what happened to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from consent.delegation import Delegation
from consent.model import COUNTERSIGNED, Actor, Consent, ConsentChange
from consent.part_names import part_told
from consent.removals import Duties, Removal
from consent.states import (
    EXHAUSTED,
    EXPIRED,
    GRANTED,
    LIVE,
    PAUSED,
    REFUSED,
    REQUESTED,
    REVOKED,
)
from creditgate.v1.consent_service_pb2 import ConsentState, DataLifeEnd
from gateway.authority.view import AuthorityView
from gateway.consents.plain import item_name, purpose_name
from gateway.consents.words import STATES
from gateway.pages.moments import moment
from gateway.pages.rendering import Language
from gateway.pages.words import Words, joined, said
from gateway.subject.elsewhere_words import KEPT_ELSEWHERE, taken_back_words
from gateway.subject.standing import Standing


@dataclass(frozen=True, slots=True)
class ConsentLine:
    """One consent in a list. ``state`` is its name in small letters, for the style."""

    consent_id: str
    operator: str
    items: str
    purposes: str
    state: str
    state_words: str
    live: bool
    message: str
    requested: str
    answer_until: str
    until: str
    answered: int


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One change of a consent: when, and what happened in a sentence.

    ``deputy`` is what who did it for the company is called, "" for nobody; ``meant`` what the
    representative called whom it meant, where that is something else.
    """

    sequence: int
    consent_id: str
    operator: str
    items: str
    at: str
    text: str
    reason: str
    deputy: str
    meant: str


@dataclass(frozen=True, slots=True)
class RemovalLine:
    """The operator's duty to remove what it got. ``overdue`` asks for attention."""

    text: str
    overdue: bool


@dataclass(frozen=True, slots=True)
class OverdueLine:
    """A removal that the operator was to report of one consent and has not."""

    consent_id: str
    operator: str
    items: str
    text: str


def operator_name(view: AuthorityView, operator_id: str) -> str:
    """Return an operator's name, its id where authority does not know it."""
    operator = view.authority.operators.get(operator_id)
    return operator_id if operator is None else operator.display_name


def consent_line(view: AuthorityView, standing: Standing, language: Language) -> ConsentLine:
    """Return the line of one consent."""
    consent, terms = standing.consent, standing.consent.terms
    return ConsentLine(
        consent_id=consent.consent_id,
        operator=operator_name(view, consent.operator_id),
        items=_items(view, consent, language),
        purposes=joined(
            (purpose_name(each, language) for each in sorted(terms.purposes)), language
        ),
        state=ConsentState.Name(standing.state).removeprefix("CONSENT_STATE_").lower(),
        state_words=said(language, STATES[standing.state]),
        live=standing.state in LIVE,
        message=consent.message,
        requested=moment(consent.requested_at, language),
        answer_until=moment(min(consent.answer_until, terms.valid_until), language),
        until=moment(terms.valid_until, language),
        answered=standing.use.answered,
    )


def change_line(
    view: AuthorityView,
    change: ConsentChange,
    consent: Consent,
    deputies: Mapping[str, Delegation],
    language: Language,
) -> ChangeLine:
    """Return the line of one change of ``consent``; ``reason`` is in the words of whoever
    gave it, ``deputies`` are delegations by id."""
    reason = change.reason
    happened = _BY_DEPUTY if change.delegation else _HAPPENED
    words = happened.get((change.state, change.actor), STATES[change.state])
    if change.actor == Actor.SUBJECT and reason == COUNTERSIGNED:
        words, reason = _SIGNED, ""
    elif change.state in LIVE and change.removal_deadline is not None:
        words = _LIFE_OVER
    elif (part := part_told(change)) is not None:
        words, reason = taken_back_words(part), ""
    elif consent.kept_elsewhere and change.actor == Actor.GATEWAY:
        # It says for the log what these say.
        words, reason = KEPT_ELSEWHERE.get(change.state, words), ""
    under = deputies.get(change.delegation)
    return ChangeLine(
        change.sequence,
        change.consent_id,
        operator_name(view, change.operator_id),
        _items(view, consent, language),
        moment(change.at, language),
        said(language, words),
        reason,
        "" if under is None else under.called,
        "" if under is None else under.meant,
    )


def removal_line(removal: Removal, now: int, language: Language) -> RemovalLine:
    """Return what became of the operator's duty to remove what it got."""
    deed = _DEEDS[removal.data_life_end]
    deadline = moment(removal.deadline, language)
    due = moment(removal.report_by, language)
    if removal.acknowledged_at is not None:
        told = moment(removal.acknowledged_at, language)
        words: Words = (
            f"机构已于 {told}报告：取得的结果已{deed[0]}。",
            f"On {told} they reported that what they held is {deed[1]}.",
        )
        if removal.overdue(now):
            words = (
                f"{words[0]}报告期限是 {due}，已逾期。",
                f"{words[1]} That was due by {due}: it came late.",
            )
        gone = deadline if removal.removed_at is None else moment(removal.removed_at, language)
        # What is shown to the minute is told where it differs by one.
        if removal.kept_too_long and gone != deadline:
            words = (
                f"{words[0]}据其报告，处理完毕是在 {gone}，本应不晚于 {deadline}。",
                f"{words[1]} By their word it was gone on {gone}, and was to be by {deadline}.",
            )
        elif removal.spared and gone != deadline:
            words = (
                f"{words[0]}据其报告，处理完毕是在 {gone}；原定期限是 {deadline}，"
                "但网关当时中断，可能没有通知到机构。",
                f"{words[1]} By their word it was gone on {gone}. It was to be by {deadline}, but the"
                " gateway was down and may not have told them.",
            )
        return RemovalLine(said(language, words), removal.overdue(now))
    if removal.overdue(now):
        words = (
            f"机构应在 {deadline}前{deed[0]}取得的结果，至今没有报告。",
            f"What they held was due to be {deed[1]} by {deadline}; they have not reported.",
        )
        return RemovalLine(said(language, words), overdue=True)
    if now >= removal.deadline:
        words = (
            f"机构应在 {deadline}前{deed[0]}取得的结果，须在 {due}前向网关报告。",
            f"What they held was to be {deed[1]} by {deadline}; they must report it by {due}.",
        )
        return RemovalLine(said(language, words), overdue=False)
    words = (
        f"机构须在 {deadline}前{deed[0]}取得的结果，并向网关报告。",
        f"What they hold must be {deed[1]} by {deadline}, and they must report it.",
    )
    return RemovalLine(said(language, words), overdue=False)


def removals_left_out(duties: Duties, told: int, language: Language) -> RemovalLine:
    """Return what is said of the duties that are not listed, ``told`` of which are told anyway."""
    number, unreported = duties.left_out - told, duties.unreported_left_out - told
    words: Words = (
        f"此外还有 {number} 次较早的处理义务没有列出，其中 {unreported} 次机构尚未报告。",
        f"{number} earlier duties are left out here; of {unreported} they have not reported.",
    )
    return RemovalLine(said(language, words), overdue=False)


def overdue_line(
    view: AuthorityView, consent: Consent, removal: Removal, now: int, language: Language
) -> OverdueLine:
    """Return the line of a removal of what was served under ``consent`` that is overdue."""
    return OverdueLine(
        consent.consent_id,
        operator_name(view, consent.operator_id),
        _items(view, consent, language),
        removal_line(removal, now, language).text,
    )


def _items(view: AuthorityView, consent: Consent, language: Language) -> str:
    names = (item_name(view, each.item, language) for each in consent.terms.items)
    return joined(names, language)


_DEEDS: Final[Mapping[int, Words]] = {
    DataLifeEnd.DATA_LIFE_END_DELETE: ("删除", "deleted"),
    DataLifeEnd.DATA_LIFE_END_ANONYMISE: ("匿名化", "made anonymous"),
}

_HAPPENED: Final[Mapping[tuple[int, Actor], Words]] = {
    (REQUESTED, Actor.OPERATOR): ("机构请求授权", "They asked for your consent"),
    (GRANTED, Actor.SUBJECT): ("贵单位同意授权", "Your company consented"),
    (GRANTED, Actor.ADMINISTRATOR): (
        "机构的资格已恢复，授权继续有效",
        "The operator may act again, and the consent goes on",
    ),
    (REFUSED, Actor.SUBJECT): ("贵单位不同意授权", "Your company refused"),
    (PAUSED, Actor.ADMINISTRATOR): (
        "主管部门暂停了机构的资格，授权随之暂停，期间不提供数据",
        "The operator was suspended, and the consent is on hold: nothing is served",
    ),
    (REVOKED, Actor.SUBJECT): ("贵单位撤回授权", "Your company revoked it"),
    (REVOKED, Actor.OPERATOR): ("机构主动放弃授权", "The operator gave it up"),
    (REVOKED, Actor.ADMINISTRATOR): (
        "主管部门取消了机构的资格，授权终止",
        "The operator lost its authority for good, and the consent ended",
    ),
    (EXPIRED, Actor.GATEWAY): ("已到期，自动失效", "Its time was over"),
    (EXHAUSTED, Actor.GATEWAY): ("已按约定用完，自动失效", "It was used as often as it allowed"),
}

_SIGNED: Final[Words] = (
    "贵单位用自己的密钥签了凭证",
    "Your company signed the receipt with its own key",
)
_LIFE_OVER: Final[Words] = (
    "取得的结果保存期已满，机构须处理并报告",
    "What they hold has reached the end of its time: they must remove it and report",
)

_BY_DEPUTY: Final[Mapping[tuple[int, Actor], Words]] = {
    (GRANTED, Actor.SUBJECT): ("受托人代贵单位同意授权", "Your deputy consented for your company"),
    (REFUSED, Actor.SUBJECT): ("受托人代贵单位不同意授权", "Your deputy refused for your company"),
    (REVOKED, Actor.SUBJECT): ("受托人代贵单位撤回授权", "Your deputy revoked it for your company"),
}
