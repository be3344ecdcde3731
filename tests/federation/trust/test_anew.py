"""A chain is fetched anew once for all who meet an unknown key, and not again for a while; what a
region says of former and next keys of its logs is held against their own signatures."""

import asyncio
from collections.abc import Sequence

import pytest

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.succession import announcement_note, succession_note
from gateway.federation.asking.answers import RegionKeys
from gateway.federation.trust.anew import APART_SECONDS, ChainsAnew
from gateway.federation.trust.book import Region
from gateway.federation.trust.description import require_linked
from gateway.federation.trust.log_keys import log_keys
from gateway.federation.trust.statement import StatementInvalid
from gateway.federation.witness.logs import log_of
from gateway.transparency.keys import LogKey
from tests.transparency.keys import key_of
from tests.witness.world import Regions
from tests.witness.world import region as invented

ORIGIN = "east.example/log/disclosure"
FIRST, SECOND, THIRD, STRANGER = (
    key_of(name) for name in (ORIGIN, f"{ORIGIN}/2", f"{ORIGIN}/3", "elsewhere.example/log")
)
FOLLOWS = succession_note(3, bytes(32), SECOND, FIRST)
ANNOUNCES = announcement_note(THIRD.verifier, SECOND)
REGION = invented("east", str(FIRST.verifier))


class Book(Regions):
    """A book in which one region stands, as it is known by now, and what looks at it anew."""

    def __init__(self, *coming: Region) -> None:
        super().__init__([REGION])
        self.looked = 0
        self.coming = coming
        self.seconds = 100.0
        self.wait = asyncio.Event()
        self.wait.set()
        self.anew = ChainsAnew(self._look, self._refresh, self, lambda: self.seconds)

    def _look(self, _: str) -> None:
        self.looked += 1
        if not self.coming:
            raise OSError("out of reach")

    async def _refresh(self) -> None:
        await self.wait.wait()
        self.standing = self.coming


def keyed(key: LogKey, *notes: str) -> Region:
    """Return the region under another key."""
    return REGION._replace(
        log_keys={"disclosure": str(key.verifier)}, log_links={"disclosure": notes}
    )


async def test_all_who_meet_an_unknown_key_at_once_wait_for_one_look() -> None:
    after = keyed(SECOND, FOLLOWS)
    book = Book(after)
    book.wait.clear()
    asking = [asyncio.create_task(book.anew.region(REGION)) for _ in range(50)]
    await asyncio.sleep(0.05)
    # Whoever gives up does not take it from the others.
    asking[0].cancel()
    book.wait.set()
    assert await asyncio.gather(*asking[1:]) == [after] * 49
    assert book.looked == 1


@pytest.mark.parametrize("coming", [(), (REGION,)])
async def test_keys_that_nobody_knows_make_nobody_look_all_the_time(
    coming: Sequence[Region],
) -> None:
    book = Book(*coming)
    for looks in (1, 2):
        for _ in range(20):
            assert await book.anew.region(REGION) is None
        assert book.looked == looks
        book.seconds += APART_SECONDS


async def test_a_region_that_does_not_stand_is_not_known_anew() -> None:
    assert await Book(invented("another")).anew.region(REGION) is None


def test_a_region_has_one_disclosure_log_at_a_time_that_of_its_present_key() -> None:
    region = keyed(SECOND, FOLLOWS, ANNOUNCES)
    keys = log_keys(region, "disclosure")
    assert keys.every == (FIRST.verifier, SECOND.verifier, THIRD.verifier)
    assert keys.live.every == (SECOND.verifier, THIRD.verifier)
    log = log_of(region)
    assert log is not None
    assert log.key == SECOND.verifier
    assert [(told.former, told.size) for told in log.ended] == [(FIRST.verifier, 3)]
    both = region._replace(
        log_keys={**region.log_keys, "usage": region.log_keys["disclosure"]},
        log_links={**region.log_links, "usage": region.log_links["disclosure"]},
    )
    # A key of receipts that is announced may sign; one of the disclosure log is only known.
    assert RegionKeys.of_region(both) == RegionKeys(SECOND.verifier, keys.live)
    with pytest.raises(ProofInvalid):
        log_keys(region, "usage")


@pytest.mark.parametrize(
    ("present", "notes"),
    [
        (SECOND, [ANNOUNCES, succession_note(3, bytes(32), SECOND, STRANGER), FOLLOWS]),
        (SECOND, [succession_note(3, bytes(32), THIRD, STRANGER)]),
        (SECOND, [announcement_note(THIRD.verifier, STRANGER)]),
        (SECOND, [FOLLOWS.replace(FIRST.verifier.name, STRANGER.verifier.name)]),
        (SECOND, [FOLLOWS, announcement_note(THIRD.verifier, FIRST)]),
        (FIRST, [FOLLOWS]),
        (SECOND, ["no note"]),
    ],
)
def test_a_region_cannot_name_keys_of_others_as_its_own(
    present: LogKey, notes: Sequence[str]
) -> None:
    require_linked(str(SECOND.verifier), [FOLLOWS, ANNOUNCES])
    with pytest.raises(StatementInvalid):
        require_linked(str(present.verifier), notes)
