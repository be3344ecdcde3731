"""Whether reports still hold. Calls block."""

from sqlalchemy import Engine

from consent.model import NAME_PREFIX as CONSENT_PREFIX
from consent.sql import SqlConsents
from consent.states import REVOKED
from creditgate.credit_report import STATES, STATUS_TYPE, CreditReportStatus, checkpoint_in
from creditgate.transparency.linked import LinkedKeys, is_linked
from gateway.authority.feed import AuthorityFeed
from gateway.oauth.signing import SigningKeys
from gateway.reports.changes import changed_at
from gateway.reports.model import IssuedReport, Standing
from gateway.reports.rules import standing
from gateway.storage.engines import reading


class ReportStatus:
    """Looks up the status of reports; ``records`` is the store of what they state, ``log_keys``
    those that sign and signed for the disclosure log, ``issuer`` the gateway's own URL."""

    def __init__(
        self,
        records: Engine,
        consents: SqlConsents,
        feed: AuthorityFeed,
        keys: SigningKeys,
        log_keys: LinkedKeys,
        issuer: str,
    ) -> None:
        self._records = records
        self._consents = consents
        self._feed = feed
        self._keys = keys
        self._log_keys = log_keys
        self._issuer = issuer

    def of(self, report: IssuedReport, now: int) -> Standing:
        """Return whether ``report`` holds at ``now`` (seconds UTC)."""
        if self._is_believed(report, now):
            with reading(self._records) as connection:
                changed = changed_at(connection, report, now)
        else:
            # Whoever has such a key could sign what is true as well: nothing tells that apart.
            changed = report.issued_at
        ended_at, removed_at = self._ends_with_consent(report)
        return standing(report, changed, ended_at, removed_at, now)

    def statement(self, report: IssuedReport, found: Standing, now: int) -> str:
        """Return what `of` found at ``now``, signed, to keep beside the report.

        Raises Refused TEMPORARILY_UNAVAILABLE where no key is at hand, AUTHORITY_UNKNOWN.
        """
        status = CreditReportStatus(
            iss=self._issuer,
            iat=now,
            schema_version="1",
            report=report.name,
            document_digest=report.document_digest.hex(),
            state=STATES[found.state],
            since=found.since,
        )
        book = self._feed.current().signing_keys
        return self._keys.sign(book, status.as_json(), STATUS_TYPE, now)

    def _is_believed(self, report: IssuedReport, now: int) -> bool:
        """Tell whether a report that is kept is proved by a key that is still believed; of one
        that is over, or was taken back, that decides nothing any more."""
        if not report.document or report.expires_at <= now:
            return True
        try:
            checkpoint = checkpoint_in(report.document)
        except ValueError:
            return False
        return is_linked(checkpoint, self._log_keys)

    def _ends_with_consent(self, report: IssuedReport) -> tuple[int | None, int | None]:
        """Return when the consent was taken back, and the removal of copies acknowledged."""
        if not report.consent:
            return None, None
        consent_id = report.consent.removeprefix(CONSENT_PREFIX)
        consent = self._consents.get(consent_id)
        if consent is None:
            return report.issued_at, None
        # Whatever is owed for copies served before was over by then.
        removal = self._consents.duty(consent_id, report.served_at + 1)
        return (
            consent.ended_at if consent.state == REVOKED else None,
            None if removal is None else removal.acknowledged_at,
        )
