"""What a page shows of a request: who asks, for what, in words people read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.authority.view import AuthorityView
from gateway.interaction.words import SCOPES
from gateway.pages.moments import moment, span
from gateway.pages.rendering import Language
from gateway.pages.terms import PURPOSES
from gateway.pages.words import Words, joined, said
from operators.authority import Authority
from operators.authorization_details import AuthorizationDetail
from operators.model import Client
from operators.openings import stood_for
from operators.shapes import END_OF_TIME


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
    own = said(language, ("网关管理客户端", "Administration client of this gateway"))
    return Asker(own, "", client.client_id)


def scope_lines(
    authority: Authority, scopes: Iterable[str], language: Language
) -> tuple[ScopeLine, ...]:
    """Return a line for each of ``scopes``, in order of name."""
    return tuple(
        ScopeLine(
            said(language, _words(authority, name)),
            name,
            tuple(
                ScopeLine(said(language, SCOPES.get(opened, (opened, opened))), opened)
                for opened in sorted(stood_for(authority, (name,)))
            ),
        )
        for name in sorted(scopes)
    )


def detail_lines(
    view: AuthorityView, detail: AuthorizationDetail, language: Language
) -> DetailLines:
    """Return the lines of one detail; what it leaves open is said, not left out."""
    every = said(language, ("许可范围内的全部", "All that the licence allows"))
    any_subject = said(language, ("任何主体", "Any subject"))
    items = [
        said(language, (item.name_zh, item.name_en)) if (item := view.catalogue.get(code)) else code
        for code in sorted(detail.items)
    ]
    purposes = [
        said(language, PURPOSES.get(name, (name, name))) for name in sorted(detail.purposes)
    ]
    lines = [
        (("关于", "About"), joined(sorted(detail.subjects), language) or any_subject),
        (("信息", "Information"), joined(items, language) or every),
        (("用途", "Purpose"), joined(purposes, language) or every),
        (
            ("数据来源地区", "Records of these regions"),
            joined(sorted(detail.regions), language) or every,
        ),
        (("期间", "Period"), _period(detail, language)),
    ]
    if detail.consent is not None:
        lines.append((("授权书", "Consent"), detail.consent))
    return DetailLines(tuple((said(language, label), content) for label, content in lines))


def duration(client: Client, token_seconds: int, grant_seconds: int, language: Language) -> str:
    """Return for how long an approval for ``client`` stands, in words.

    ``token_seconds`` is the life of one access token, ``grant_seconds`` that of a grant
    whose client may refresh its tokens.
    """
    if "refresh_token" in client.grant_types:
        whole = span(grant_seconds, language)
        return said(
            language,
            (
                f"最长 {whole}，期间可随时撤销",
                f"For {whole} at most; it can be revoked at any time",
            ),
        )
    once = span(token_seconds, language)
    return said(language, (f"仅这一次，最长 {once}", f"This once, for {once} at most"))


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
            return said(language, ("没有期限", "Without an end"))
        return said(language, ("自 ", "From ")) + moment(start, language)
    end = moment(until, language)
    if not start:
        return said(language, (f"至 {end}", f"Until {end}"))
    return f"{moment(start, language)} – {end}"
