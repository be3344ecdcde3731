"""Logs at which something happens just when a change is appended."""

import threading
from collections.abc import Callable, Sequence

from sqlalchemy.exc import OperationalError

from operators.log import AuthorityLog, Change, Draft


class _Wrapped:
    def __init__(self, log: AuthorityLog) -> None:
        self.log = log

    def append(
        self,
        drafts: Sequence[Draft],
        *,
        changed_by: str,
        changed_at: int,
        reason: str,
        follows: int | None = None,
    ) -> tuple[Change, ...]:
        """See `AuthorityLog.append`."""
        return self.log.append(
            drafts, changed_by=changed_by, changed_at=changed_at, reason=reason, follows=follows
        )

    def since(self, sequence: int) -> tuple[Change, ...]:
        """See `AuthorityLog.since`."""
        return self.log.since(sequence)

    def head(self) -> int:
        """See `AuthorityLog.head`."""
        return self.log.head()

    def history(self, *, kind: str, id: str, after: int, limit: int) -> tuple[Change, ...]:  # noqa: A002
        """See `AuthorityLog.history`."""
        return self.log.history(kind=kind, id=id, after=after, limit=limit)


class OvertakenLog(_Wrapped):
    """A log whose next appends are each overtaken by what a rival does to it first."""

    def __init__(self, log: AuthorityLog) -> None:
        super().__init__(log)
        self.rivals: list[Callable[[], object]] = []

    def append(
        self,
        drafts: Sequence[Draft],
        *,
        changed_by: str,
        changed_at: int,
        reason: str,
        follows: int | None = None,
    ) -> tuple[Change, ...]:
        """Let the rival go first."""
        if self.rivals:
            self.rivals.pop(0)()
        return super().append(
            drafts, changed_by=changed_by, changed_at=changed_at, reason=reason, follows=follows
        )


class HeldLog(_Wrapped):
    """A log that holds appends until told to go on, or lets them fail."""

    def __init__(self, log: AuthorityLog) -> None:
        super().__init__(log)
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.fails = False

    def append(
        self,
        drafts: Sequence[Draft],
        *,
        changed_by: str,
        changed_at: int,
        reason: str,
        follows: int | None = None,
    ) -> tuple[Change, ...]:
        """Wait; then append or fail."""
        self.reached.set()
        assert self.go_on.wait(10)
        if self.fails:
            raise OperationalError("insert", {}, Exception("disk full"))
        return super().append(
            drafts, changed_by=changed_by, changed_at=changed_at, reason=reason, follows=follows
        )
