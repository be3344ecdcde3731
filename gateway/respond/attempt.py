"""One attempt to serve a call, from the ask to the claim on the ledger."""

import asyncio
from typing import NamedTuple, Protocol

from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authorise.bounds import Bounds, Details
from gateway.authorise.gate import Passage
from gateway.authority.view import AuthorityView
from gateway.disclose.lookup import Found
from gateway.meter.model import Outcome, UsageClaim
from gateway.respond.answer import Selection
from gateway.telemetry.traces import current
from operators.rules import Ask


class Use(NamedTuple):
    """What stays the same over all chunks of one call.

    ``details`` are the token's authorization details, ``revocable`` names what a
    revocation may stop it by. ``answer_may_be_empty`` is False where an answer without
    records is a refusal, ``most_bytes`` None where an answer may come in several messages.
    """

    ask: Ask
    details: Details
    revocable: frozenset[str]
    request_id: str
    purpose: Purpose.ValueType
    consent: str
    digest: bytes
    answer_may_be_empty: bool
    most_bytes: int | None


class Preparing(Protocol):
    """What turns an attempt into a claim, and makes the claim."""

    def prepare(self, attempt: "Attempt", found: Found) -> tuple[UsageClaim, Selection]:
        """Return the claim for what may be served of ``found``; raises Refused, UnknownLine."""
        ...

    def charge(self, claim: UsageClaim, outcome: "asyncio.Future[Outcome]") -> None:
        """Have ``outcome`` told what became of the claim; raises Refused."""
        ...

    def holds(self, view: AuthorityView, revocable: frozenset[str]) -> bool:
        """Tell whether what ``view`` decided may still be answered to a token of these
        ``revocable`` names; from any thread."""
        ...


class Attempt:
    """One attempt to serve a call: told what is found, it claims it in the same turn.

    So the claims of all calls that were read together go to the ledger together, and a
    call is woken once, by its outcome. It is a `Waiting` of the lookup.
    """

    __slots__ = (
        "_prepared", "_service", "_task", "_trace",
        "bounds", "chunk", "now", "outcome", "passage", "subjects", "use",
    )  # fmt: skip

    def __init__(
        self,
        service: Preparing,
        use: Use,
        passage: Passage,
        bounds: Bounds | None,
        subjects: tuple[str, ...] | None,
        chunk: int,
        now: int,
    ) -> None:
        self._service = service
        self.use = use
        self.passage = passage
        self.bounds = bounds
        self.subjects = subjects
        self.chunk = chunk
        self.now = now
        task = asyncio.current_task()
        assert task is not None, "answers are made by calls"
        self._task = task
        self._trace = current()
        self._prepared: tuple[UsageClaim, Selection] | None = None
        self.outcome: asyncio.Future[Outcome] = task.get_loop().create_future()

    def done(self) -> bool:
        """Tell whether nobody waits any more."""
        return self.outcome.done()

    def set_result(self, result: Found, /) -> None:
        """Claim what may be served of what was found."""
        self._trace.step("disclosed")
        try:
            self._prepared = self._service.prepare(self, result)
            self._service.charge(self._prepared[0], self.outcome)
        except Exception as error:
            self.outcome.set_exception(error)

    def set_exception(self, exception: BaseException, /) -> None:
        """End the attempt: nothing could be read."""
        self.outcome.set_exception(exception)

    def prepared(self) -> tuple[UsageClaim, Selection]:
        """Return what was claimed, once there is an outcome."""
        assert self._prepared is not None, "only what was claimed has an outcome"
        return self._prepared

    def stands(self) -> bool:
        """Tell whether the answer may still be given: authority is what it was decided
        by, and the call waits."""
        holds = self._service.holds(self.passage.view, self.use.revocable)
        return holds and not self._task.cancelling()
