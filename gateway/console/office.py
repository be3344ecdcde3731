"""The office: methods of the contract, called on behalf of who is signed in at the console."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.pages.methods import TOKEN_SECONDS, PageMethods
from gateway.signin.identity import Identity
from operators.administrators import DANGEROUS_SCOPES, Administrator
from operators.persons import OWN_PAGES, SignIn, require_person

_MOST_PAGES: Final = 20
_Answer = TypeVar("_Answer", bound=Message)


class Office:
    """Calls methods as an administrator, who is judged anew at each call."""

    def __init__(
        self, methods: PageMethods, view: Callable[[], AuthorityView], clock: Clock
    ) -> None:
        self._methods = methods
        self._view = view
        self._clock = clock

    def scope_of(self, request: type[Message]) -> str:
        """Return the scope of a request's method, "" where no method of it is served."""
        return self._methods.scope_of(request)

    async def ask(
        self,
        identity: Identity,
        administrator: Administrator,
        request: Message,
        answer: type[_Answer],
    ) -> _Answer:
        """Return the answer to ``request`` as ``administrator``, who signed in as ``identity``.

        Raises Refused as `operators.persons.require_person`, and what the method raises.
        """
        now = self._clock.now()
        caller = Caller(
            client_id=OWN_PAGES,
            role=ClientRole.CLIENT_ROLE_ADMINISTRATOR,
            operator_id="",
            token_scopes=administrator.scopes,
            token_expires_at=now + TOKEN_SECONDS,
            principal=administrator.principal,
            auth_time=identity.auth_time,
            acr=identity.acr,
        )
        sign_in = SignIn(caller.principal, caller.auth_time, caller.acr)

        def require(scope: str) -> None:
            require_person(self._view().authority, sign_in, scope, now)

        return await self._methods.ask(caller, require, request, answer)

    async def every_page(
        self, identity: Identity, administrator: Administrator, request: Any, answer: type[_Answer]
    ) -> _Answer:
        """Return the pages of a listing as one answer, the first 20 at most; see `ask`."""
        whole = answer()
        for _ in range(_MOST_PAGES):
            page: Any = await self.ask(identity, administrator, request, answer)
            whole.MergeFrom(page)
            if not page.next_page_token:
                whole.ClearField("next_page_token")
                break
            request.page_token = page.next_page_token
        return whole

    def needs_step_up(self, identity: Identity, administrator: Administrator, scope: str) -> bool:
        """Tell whether a method of ``scope`` takes a fresher or stronger sign-in now."""
        if scope not in DANGEROUS_SCOPES or scope not in administrator.scopes:
            return False
        sign_in = SignIn(administrator.principal, identity.auth_time, identity.acr)
        try:
            require_person(self._view().authority, sign_in, scope, self._clock.now())
        except Refused:
            return True
        return False
