"""Addresses of pages: a path with its query, in the language of the page."""

from urllib.parse import urlencode

from starlette.requests import Request

from gateway.pages.rendering import Language


def addressed(path: str, language: Language, /, **query: str) -> str:
    """Return ``path`` with ``query``, in ``language``."""
    given = {name: value for name, value in query.items() if value}
    if language == "en":
        given["lang"] = "en"
    return f"{path}?{urlencode(given)}" if given else path


def same_page(request: Request, language: Language) -> str:
    """Return the address of the same page in the same language."""
    return addressed(request.url.path, language, **kept_query(request))


def kept_query(request: Request) -> dict[str, str]:
    """Return the query without the language, for a link to the same page in the other."""
    return {name: value for name, value in request.query_params.items() if name != "lang"}
