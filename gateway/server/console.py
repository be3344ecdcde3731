"""The administrators' console, composed: its pages over the methods of the contract."""

from collections.abc import Mapping, Sequence

from starlette.routing import Route

from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.console.app import console_routes
from gateway.console.office import Office
from gateway.console.parts import ConsoleParts
from gateway.pages.methods import PageMethods
from gateway.server.methods import Method
from gateway.server.refusals import RefusalLog
from gateway.signin.desk import SignInDesk


def page_methods(methods: Mapping[str, Method], refusals: RefusalLog) -> PageMethods:
    """Return the methods that pages may call: those of one request."""
    of_one_request = {
        method.request.DESCRIPTOR.full_name: method
        for method in methods.values()
        if not method.streams_requests
    }
    return PageMethods(of_one_request, refusals)


def console(
    methods: PageMethods, people: SignInDesk | None, feed: AuthorityFeed, clock: Clock
) -> Sequence[Route]:
    """Return the routes of the console; ``people`` is None where nobody can sign in."""
    office = Office(methods, feed.current, clock)
    return console_routes(ConsoleParts(office, feed.current, people, clock))
