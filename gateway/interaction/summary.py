"""What a page shows of a request: who asks, for what, in words people read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from gateway.authority.view import AuthorityView
from gateway.interaction.words import PURPOSES, SCOPES, Words
from gateway.pages.rendering import Language
from operators.authority import Authority
from operators.authorization_details import AuthorizationDetail
from operators.model import Client
from operators.openings import stood_for
from operators.shapes import END_OF_TIME

_DAY: Final = 86_400
_CHINA: Final = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class ScopeLine:
    """One scope: its words, and its name for who knows it.

    ``opens`` are the lines of the scopes of methods a managed one stands for.
    """

    words: str
    name: str
    opens: tuple["ScopeLine", ...] = ()


@dataclass(frozen=True, slots=True)
class DetailLines:
    """One authorisation detail (RFC 9396): label and content of each line."""

    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: ``name`` for people, the operator's code where there is one, the client's id."""

    name: str
    uscc: str
    client_id: str


def asker(authority: Authority, client: Client, language: Language) -> Asker:
    """Return who asks through ``client``."""
    operator = authority.operators.get(client.operator_id)
    if operator is not None:
        return Asker(operator.display_name, operator.uscc, client.client_id)
    own = _in(language, ("网关管理客户端", "Administration client of this gateway"))
    return Asker(own, "", client.client_id)


def scope_lines(
    authority: Authority, scopes: Iterable[str], language: Language
) -> tuple[ScopeLine, ...]:
    """Return a line for each of ``scopes``, in order of name."""
    return tuple(
        ScopeLine(
            _in(language, _words(authority, name)),
            name,
            tuple(
                ScopeLine(_in(language, SCOPES.get(opened, (opened, opened))), opened)
                for opened in sorted(stood_for(authority, (name,)))
            ),
        )
        for name in sorted(scopes)
    )


def detail_lines(
    view: AuthorityView, detail: AuthorizationDetail, language: Language
) -> DetailLines:
    """Return the lines of one detail; what it leaves open is said, not left out."""
    every = _in(language, ("许可范围内的全部", "All that the licence allows"))
    any_subject = _in(language, ("任何主体", "Any subject"))
    items = [
        _in(language, (item.name_zh, item.name_en)) if (item := view.catalogue.get(code)) else code
        for code in sorted(detail.items)
    ]
    purposes = [_in(language, PURPOSES.get(name, (name, name))) for name in sorted(detail.purposes)]
    lines = [
        (("关于", "About"), _joined(sorted(detail.subjects), language) or any_subject),
        (("信息", "Information"), _joined(items, language) or every),
        (("用途", "Purpose"), _joined(purposes, language) or every),
        (("地区", "Regions"), _joined(sorted(detail.regions), language) or every),
        (("期间", "Period"), _period(detail, language)),
    ]
    if detail.consent is not None:
        lines.append((("授权书", "Consent"), detail.consent))
    return DetailLines(tuple((_in(language, label), content) for label, content in lines))


def duration(client: Client, token_seconds: int, grant_seconds: int, language: Language) -> str:
    """Return for how long an approval for ``client`` stands, in words.

    ``token_seconds`` is the life of one access token, ``grant_seconds`` that of a grant
    whose client may refresh its tokens.
    """
    if "refresh_token" in client.grant_types:
        span = _span(grant_seconds, language)
        return _in(
            language,
            (f"最长 {span}，期间可随时撤销", f"For {span} at most; it can be revoked at any time"),
        )
    span = _span(token_seconds, language)
    return _in(language, (f"仅这一次，最长 {span}", f"This once, for {span} at most"))


def _span(seconds: int, language: Language) -> str:
    days = seconds // _DAY
    if days:
        return _in(language, (f"{days} 天", "1 day" if days == 1 else f"{days} days"))
    minutes = -(-seconds // 60)
    return _in(language, (f"{minutes} 分钟", "1 minute" if minutes == 1 else f"{minutes} minutes"))


def moment(seconds: int, language: Language) -> str:
    """Return an instant: China's time in Chinese, UTC in English."""
    if language == "zh":
        return datetime.fromtimestamp(seconds, _CHINA).strftime("%Y-%m-%d %H:%M（北京时间）")
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _words(authority: Authority, name: str) -> Words:
    definition = authority.definitions.get(name)
    if definition is not None:
        return definition.title_zh, definition.title_en
    known: Mapping[str, Words] = SCOPES
    return known.get(name, (name, name))


def _period(detail: AuthorizationDetail, language: Language) -> str:
    start, until = detail.period.start, detail.period.until
    if until >= END_OF_TIME:
        if not start:
            return _in(language, ("没有期限", "Without an end"))
        return _in(language, ("自 ", "From ")) + moment(start, language)
    end = moment(until, language)
    if not start:
        return _in(language, (f"至 {end}", f"Until {end}"))
    return f"{moment(start, language)} – {end}"


def _joined(parts: list[str], language: Language) -> str:
    return ("、" if language == "zh" else ", ").join(parts)


def _in(language: Language, words: Words) -> str:
    return words[0] if language == "zh" else words[1]
