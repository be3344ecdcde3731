"""What a call of another region rests on there: the region, the licence, perhaps a consent."""

from dataclasses import dataclass

from gateway.federation.home.consents import ReliedOn
from gateway.federation.home.licence import Licences
from gateway.federation.trust.book import RegionBook


@dataclass(frozen=True, slots=True)
class RegionFooting:
    """`gateway.authenticate.caller.Footing` of one call.

    All of it is asked for anew at each chunk, and once more with the ledger's locks held (G4).
    """

    book: RegionBook
    licences: Licences
    region: str
    credential: str
    consent: ReliedOn | None

    def require(self) -> None:
        """Raise Refused unless all of it stands now, and that is known."""
        self.licences.shown(self.credential, self.book.region(self.region))
        if self.consent is not None:
            self.consent.require()

    def stands(self) -> bool:
        """Tell whether all of it stands now, and that is known; any thread."""
        return (
            self.book.stands(self.region)
            and self.licences.stands(self.credential, self.book.region(self.region))
            and (self.consent is None or self.consent.stands())
        )
