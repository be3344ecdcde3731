"""Templates to answers, with the headers that guard a page.

OWASP ASVS 5.0, chapter V3: what a browser may do with a page is said by the page, and the
least that works. FAPI 2.0 Security Profile section 5.2.3: browsers must not be led off TLS.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from typing import Final, Literal
from urllib.parse import urlsplit

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

Language = Literal["zh", "en"]
STYLE_PATH: Final = "/static/creditgate.css"
_TEMPLATES: Final = "templates"
# Ideographs, with the punctuation and digits between them (Unicode 15.0).
_HAN: Final = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_FULL_WIDTH: Final = "\u3000-\u303f\uff01-\uff5e"
_CHINESE: Final = re.compile(
    f"([{_HAN}{_FULL_WIDTH}](?:[{_HAN}{_FULL_WIDTH}0-9]*[{_HAN}{_FULL_WIDTH}])?)"
)

GUARDS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Pages:
    """The pages of one package, each found below its folder ``templates``."""

    def __init__(self, package: str) -> None:
        self._templates = _templates_of(package)

    def page(
        self,
        template: str,
        language: Language,
        *,
        status: int = 200,
        forms_lead_to: Sequence[str] = (),
        **content: object,
    ) -> Response:
        """Return ``template`` filled with ``content``.

        In templates ``say(zh, en)`` gives the words of ``language``, and ``spoken(text)`` tells
        a screen reader which words of it are Chinese; ``tongue(text)`` is the attribute that
        does so for elements that hold text alone, such as options. ``forms_lead_to`` are
        URLs of other origins that answers to the page's forms may send the browser to:
        browsers hold redirects to ``form-action`` too.
        """

        def say(zh: str, en: str) -> str:
            return zh if language == "zh" else en

        text = self._templates.get_template(template).render(
            say=say,
            spoken=partial(_spoken, language),
            tongue=partial(_tongue, language),
            language=language,
            html_language="zh-Hans" if language == "zh" else "en",
            style=STYLE_PATH,
            **content,
        )
        policy = "; ".join(
            (
                "default-src 'none'",
                "style-src 'self'",
                " ".join(("form-action 'self'", *sorted({*map(_origin, forms_lead_to)}))),
                "frame-ancestors 'none'",
                "base-uri 'none'",
            )
        )
        return HTMLResponse(text, status, headers={**GUARDS, "Content-Security-Policy": policy})


@cache
def _templates_of(package: str) -> Environment:
    """Return the templates of a package, compiled once in a process and not looked for again: they
    change with the version alone."""
    # Jinja's own loader for packages would import them again by name.
    folders = [str(files(name) / _TEMPLATES) for name in (package, __package__ or "")]
    return Environment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _spoken(language: Language, text: str) -> Markup:
    """Return ``text``, on a page that is not Chinese with its Chinese words marked as such (WCAG
    2.2, 3.1.2)."""
    if language == "zh":
        return escape(text)
    pieces = (
        Markup('<span lang="zh-Hans">{}</span>').format(piece) if number % 2 else escape(piece)
        for number, piece in enumerate(_CHINESE.split(text))
    )
    return Markup("").join(pieces)


def _tongue(language: Language, text: str) -> Markup:
    """Return the attribute of an element that holds ``text`` alone, on a page that is not Chinese
    where Chinese is in it; nothing else."""
    marked = language != "zh" and _CHINESE.search(text) is not None
    return Markup(' lang="zh-Hans"') if marked else Markup("")


def language_of(request: Request) -> Language:
    """Return the language a page was asked for in: Chinese unless ``lang=en``."""
    return "en" if request.query_params.get("lang") == "en" else "zh"


def see_other(url: str) -> Response:
    """Return the answer that sends the browser on by GET (RFC 9110 section 15.4.4)."""
    return RedirectResponse(url, 303, headers=dict(GUARDS))


def style_route() -> Route:
    """Return the route of the style sheet."""
    style = (files(__package__ or "") / "creditgate.css").read_text(encoding="utf-8")

    async def serve(_: Request) -> Response:
        headers = {**GUARDS, "Cache-Control": "public, max-age=3600"}
        return Response(style, media_type="text/css", headers=headers)

    return Route(STYLE_PATH, serve)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    # A source of a policy cannot be an IPv6 address (CSP Level 3, section 2.3.1).
    return f"{parts.scheme}:" if "[" in parts.netloc else f"{parts.scheme}://{parts.netloc}"
