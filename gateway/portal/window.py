"""The window: methods of the contract, called on behalf of the operator one represents."""

from collections.abc import AsyncGenerator, Callable
from typing import Final, TypeVar

from google.protobuf.message import Message

from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.pages.methods import TOKEN_SECONDS, PageMethods
from gateway.portal.representing import represents
from gateway.signin.identity import Identity

OWN_PORTAL: Final = "gateway:portal"
"""Through what representatives look. No client can have this id, and it has no grants."""
SCOPES: Final = frozenset({"alerts:read", "credit.conformance:read", "usage:read"})
"""All that is called there: reading what is the operator's own."""

_Answer = TypeVar("_Answer", bound=Message)


class Window:
    """Calls methods as an operator, for a representative who is judged anew at each call."""

    def __init__(
        self, methods: PageMethods, view: Callable[[], AuthorityView], clock: Clock
    ) -> None:
        self._methods = methods
        self._view = view
        self._clock = clock

    def serves(self, request: type[Message]) -> bool:
        """Tell whether the method of ``request`` is served, and is for looking."""
        return self._methods.scope_of(request) in SCOPES

    async def ask(
        self, identity: Identity, operator_id: str, request: Message, answer: type[_Answer]
    ) -> _Answer:
        """Return the answer to ``request`` as ``operator_id``, for who signed in as ``identity``.

        Raises Refused SCOPE_NOT_GRANTED where they do not represent it or the window is not
        for that, AUTHORITY_UNKNOWN, and what the method raises.
        """
        caller, require = self._acting(identity, operator_id)
        return await self._methods.ask(caller, require, request, answer)

    def each(
        self, identity: Identity, operator_id: str, request: Message, answer: type[_Answer]
    ) -> AsyncGenerator[_Answer]:
        """Yield the answers of a method that streams them; see `ask`."""
        caller, require = self._acting(identity, operator_id)
        return self._methods.each(caller, require, request, answer)

    def _acting(self, identity: Identity, operator_id: str) -> tuple[Caller, Callable[[str], None]]:
        """Return who calls, and what judges that they may."""
        caller = Caller(
            client_id=OWN_PORTAL,
            role=ClientRole.CLIENT_ROLE_OPERATOR,
            operator_id=operator_id,
            token_scopes=SCOPES,
            token_expires_at=self._clock.now() + TOKEN_SECONDS,
            principal=identity.representative,
            auth_time=identity.auth_time,
            acr=identity.acr,
        )

        def require(scope: str) -> None:
            authority = self._view().authority
            if scope not in SCOPES or not represents(authority, identity.uscc, operator_id):
                raise Refused(
                    RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED,
                    "The portal shows representatives their own operator's things only.",
                )

        return caller, require
