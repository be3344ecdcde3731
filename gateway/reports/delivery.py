"""Whether a report may be given to an operator now: by the gate that decides record calls.

Source: Personal Information Protection Law, articles 6, 15 and 47: what rests on a consent is
given out while that is live, no further than it goes, and where the subject sees it.
"""

from collections.abc import Mapping

from consent.model import NAME_PREFIX, Consent
from consent.sql import SqlConsents
from gateway.authenticate.caller import Caller
from gateway.authorise.bounds import Ground, subject_bounds
from gateway.authorise.gate import Gate, Passage
from gateway.authorise.opening import Openings, require_no_consent
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.disclose.model import Line
from gateway.reports.drafting import Asked
from gateway.reports.model import IssuedReport
from gateway.respond.use import SCOPE
from gateway.shares import Shares
from operators.decision import Ask
from operators.shapes import ALL_REGIONS


class ReportDelivery:
    """Decides on reports that are about to be given out; one event loop's own."""

    def __init__(
        self, feed: AuthorityFeed, consents: SqlConsents, shares: Shares, clock: Clock
    ) -> None:
        self._feed = feed
        self._consents = consents
        self._shares = shares
        self._clock = clock
        self._gate = Gate()
        self._openings = Openings()
        # Which lines there are does not matter here: a report is of items.
        self._lines: dict[int, Line] = {}

    async def require(self, report: IssuedReport, caller: Caller) -> None:
        """Raise Refused where ``caller`` would not be served now what ``report`` states.

        With the reasons of `Gate.passage`, `subject_bounds` and `Openings.opening`;
        CONSENT_REQUIRED where something it states takes a consent by now and it rests on none.
        A consent for one use opens what it was used for until its validity is over, as it
        opens retries.
        """
        consent = None
        if report.consent:
            consent = await self._shares.run(caller.asker, self._consent, report)
        now = self._clock.now()
        passage = self._passage(report, caller, now)
        if report.consent:
            self._openings.opening(consent, passage, (report.subject,), report.purpose, now)
        else:
            require_no_consent(passage)

    def regions(self, asked: Asked, caller: Caller) -> Mapping[str, frozenset[str]]:
        """Return the region codes that ``caller`` is served records of now, by item of what is
        asked; an item left out where those of all.

        Raises Refused as `Gate.passage` and `subject_bounds`.
        """
        allow = self._passage(asked, caller, self._clock.now()).allow
        return {
            item: codes for item, codes in allow.regions_by_item.items() if ALL_REGIONS not in codes
        }

    def _passage(self, report: IssuedReport | Asked, caller: Caller, now: int) -> Passage:
        view = self._feed.current()
        ask = Ask(
            client_id=caller.client_id,
            scope=SCOPE,
            # The client's own grants are asked, not a token that need not read records.
            token_scopes=caller.token_scopes | {SCOPE},
            items=frozenset(report.items),
            purpose=report.purpose,
        )
        if not caller.details:
            return self._gate.passage(view, self._lines, ask, now)
        ground, subjects = Ground(view, self._lines, now), (report.subject,)
        return subject_bounds(
            self._gate, ground, ask, caller.details, subjects, report.consent
        ).passage

    def _consent(self, report: IssuedReport) -> Consent | None:
        consent = self._consents.get(report.consent.removeprefix(NAME_PREFIX))
        if consent is None:
            return None
        (settled,) = self._consents.settled([consent], self._clock.now())
        return settled
