"""A log of revocations for tests in which nothing is revoked."""

from collections.abc import Iterable

from gateway.oauth.revocations import LoggedRevocation, Revocation


class NothingRevoked:
    """`gateway.oauth.revocation_log.RevocationLog` that stays empty."""

    def append(self, revocations: Iterable[Revocation], now: int) -> None:
        """Fail: such tests revoke nothing."""
        raise AssertionError(revocations, now)

    def since(self, sequence: int) -> tuple[LoggedRevocation, ...]:
        """Return nothing."""
        del sequence
        return ()
