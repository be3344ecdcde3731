"""What the console's pages stand on."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.console.office import Office
from gateway.signin.desk import SignInDesk


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """The office, and who signs people in.

    ``view`` gives authority as of now and raises Refused when it is not known; ``sign_in``
    is None where no identity provider is configured.
    """

    office: Office
    view: Callable[[], AuthorityView]
    sign_in: SignInDesk | None
    clock: Clock
