"""Guarded pages: what fails while one is served is shown as a page that says why, no more."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from creditgate.refusal import Refused, reason_name
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.failure_kind import failure_kind
from gateway.pages.forms import FormRefused
from gateway.pages.rendering import Pages, language_of
from gateway.pages.troubles import NotShown, Trouble
from gateway.signin.provider import SignInFailed

Answer = Callable[[Request], Awaitable[Response]]

_METHODS: Final = ("DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT")

_log = logging.getLogger(__name__)


class Guarded:
    """Guards the pages of one package, which has a template ``trouble.html``.

    ``what`` names one of them in the log; ``troubles`` tell what a reason of refusal means there,
    "unavailable" where they tell nothing.
    """

    def __init__(
        self, pages: Pages, what: str, troubles: Mapping[RefusalReason.ValueType, Trouble]
    ) -> None:
        self._pages = pages
        self._what = what
        self._troubles = troubles

    def __call__(self, serve: Answer) -> Answer:
        """Return ``serve`` with its failures shown as pages."""

        async def guarded(request: Request) -> Response:
            try:
                return await serve(request)
            except NotShown as not_shown:
                return self._trouble(request, not_shown)
            except FormRefused as refused:
                return self._trouble(request, NotShown("changed", refused.status))
            except Refused as refused:
                _log.info("%s was refused: %s", self._what, reason_name(refused.reason))
                trouble = self._troubles.get(refused.reason, "unavailable")
                return self._trouble(request, NotShown(trouble))
            except (SignInFailed, DBAPIError, PoolTimeout) as error:
                _log.warning("%s was not served: %s", self._what, failure_kind(error))
                return self._trouble(request, NotShown("unavailable"))
            except Exception as error:
                # Its type alone: what it says, and where it was, may hold what people are told.
                _log.error("%s failed: %s", self._what, failure_kind(error))
                return self._trouble(request, NotShown("unavailable", 500))

        return guarded

    def unconfigured(self, home: str) -> list[Route]:
        """Return the routes of pages below ``home`` where nobody can sign in."""

        async def serve(request: Request) -> Response:
            return self._pages.page(
                "unconfigured.html", language_of(request), status=503, here="", query={}
            )

        return [
            Route(path, self(serve), methods=["GET", "POST"])
            for path in (home, f"{home}/{{rest:path}}")
        ]

    def astray(self, addresses: Sequence[str], routes: Sequence[Route]) -> list[Route]:
        """Return the routes of what else is asked for at ``addresses`` (paths as `Route` has them).

        They come after ``routes``, the pages there are: no such page, or none that takes the
        method (405, with those that it takes).
        """

        async def serve(request: Request) -> Response:
            takes = {
                method
                for route in routes
                if route.matches(request.scope)[0] == Match.PARTIAL
                for method in route.methods or ()
            }
            shown = self._trouble(request, NotShown("missing", 405 if takes else 0))
            if takes:
                shown.headers["Allow"] = ", ".join(sorted(takes))
            return shown

        return [Route(path, serve, methods=_METHODS) for path in addresses]

    def _trouble(self, request: Request, not_shown: NotShown) -> Response:
        return self._pages.page(
            "trouble.html",
            language_of(request),
            status=not_shown.status,
            trouble=not_shown.trouble,
            here="",
            query={},
            # What answers a form cannot be asked for again, in whatever language.
            asked_again=request.method == "GET",
        )
