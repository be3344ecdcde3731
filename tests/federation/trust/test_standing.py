"""Who stands: the newest news, the chain's own end, and the anchor's revision decide (G4)."""

from typing import Any

import pytest

from creditgate.refusal import Refused, reason_name
from gateway.federation.trust.hearing import not_heard
from gateway.federation.trust.news import News
from gateway.federation.trust.standing import StandingRegions
from gateway.oauth.registrar import taken_by_another
from operators.authority import Authority
from operators.log import Change
from operators.regions import REGION, REGION_ADMISSION, region_client_id
from tests.clock import NOW, StandingClock
from tests.operators.regions import ENTITY, THUMBPRINT, admission, known

OWN = "https://own.example"
WEST = "https://west.example"


def told(**changed: Any) -> News:
    regions = {ENTITY: 5, OWN: 5, WEST: 5}
    return News(1, NOW, regions, {}, "")._replace(**changed)


class World:
    """A book over one state of authority, with news and clock that a test sets."""

    def __init__(self) -> None:
        self.news: News | None = told()
        self.clock = StandingClock()
        self.authority = Authority.empty()
        for region in (known(), known(OWN), known(WEST)):
            self.write(REGION, region.client_id, region.as_document())
        self.book = StandingRegions(OWN, lambda: self.authority, self.heard, self.clock)

    def heard(self) -> News:
        if self.news is None:
            raise not_heard()
        return self.news

    def write(self, kind: str, id_: str, document: dict[str, object]) -> None:
        version = self.authority.version_of(kind, id_) + 1
        change = Change(self.authority.sequence + 1, kind, id_, version, document, "t", NOW, "")
        self.authority = self.authority.advanced([change])

    def outcome(self, entity_id: str = ENTITY) -> str:
        try:
            region = self.book.region(entity_id)
        except Refused as refused:
            assert not self.book.stands(entity_id)
            assert entity_id not in [each.entity_id for each in self.book.regions()]
            return reason_name(refused.reason)
        assert region in self.book.regions()
        assert self.book.stands(entity_id)
        return "OK"


@pytest.fixture
def world() -> World:
    return World()


def test_a_region_stands_while_the_anchor_says_so_and_its_chain_holds(world: World) -> None:
    assert world.outcome() == "OK"
    world.clock.at = NOW + 999
    assert world.outcome() == "OK"
    world.clock.at = NOW + 1_000
    assert world.outcome() == "REGION_NOT_TRUSTED"


@pytest.mark.parametrize(
    "news",
    [
        told(cut_off={ENTITY: NOW}),
        told(regions={WEST: 5}),
        # The anchor states something newer of it than what was verified.
        told(regions={ENTITY: 6}),
    ],
)
def test_a_region_stands_by_the_newest_news_alone(world: World, news: News) -> None:
    world.news = news
    assert world.outcome() == "REGION_NOT_TRUSTED"


def test_nothing_stands_while_the_news_are_not_known(world: World) -> None:
    world.news = None
    assert world.outcome() == "FEDERATION_UNKNOWN"
    assert world.outcome("https://nobody.example") == "FEDERATION_UNKNOWN"
    assert world.outcome(OWN) == "FEDERATION_UNKNOWN"
    assert world.book.regions() == ()
    with pytest.raises(Refused):
        world.book.own()
    with pytest.raises(Refused, match="not heard"):
        world.book.require_client("region-unknown")


def test_a_region_never_known_and_this_region_itself_are_none_to_ask(world: World) -> None:
    assert world.outcome("https://nobody.example") == "REGION_NOT_TRUSTED"
    assert world.outcome(OWN) == "REGION_NOT_TRUSTED"
    assert world.book.own().codes == ("31",)
    assert [region.entity_id for region in world.book.regions()] == [ENTITY, WEST]


def test_the_client_of_a_region_stands_with_it(world: World) -> None:
    client_id = region_client_id(ENTITY)
    assert world.book.require_client(client_id).entity_id == ENTITY
    world.news = told(cut_off={ENTITY: NOW})
    with pytest.raises(Refused, match="not one that this gateway trusts"):
        world.book.require_client(client_id)


def test_a_region_has_its_operator_only_while_it_is_admitted(world: World) -> None:
    assert world.book.region(ENTITY).operator_id == ""
    client_id = region_client_id(ENTITY)
    world.write(REGION_ADMISSION, client_id, admission().as_document())
    assert world.book.region(ENTITY).operator_id == "alpha"
    assert world.book.region(ENTITY) is world.book.region(ENTITY)
    dismissed = admission(dismissed_at=NOW)
    world.write(REGION_ADMISSION, client_id, dismissed.as_document())
    assert world.book.region(ENTITY).operator_id == ""


def test_more_can_be_required_of_a_region(world: World) -> None:
    distrusted = {ENTITY}
    world.book.require_too(lambda entity_id: entity_id not in distrusted)
    assert world.outcome() == "REGION_NOT_TRUSTED"
    distrusted.clear()
    assert world.outcome() == "OK"


def test_a_region_whose_kept_statement_names_anothers_issuer_does_not_stand(world: World) -> None:
    lie = known(issuer=WEST)
    world.write(REGION, lie.client_id, lie.as_document())
    assert world.outcome() == "REGION_NOT_TRUSTED"
    assert world.outcome(WEST) == "OK"
    world.write(REGION, lie.client_id, known().as_document())
    assert world.outcome() == "OK"


def test_a_certificate_that_a_region_says_is_its_own_is_taken_from_nobody(world: World) -> None:
    world.write(REGION_ADMISSION, region_client_id(ENTITY), admission().as_document())
    client = world.authority.clients[region_client_id(ENTITY)]
    assert client.certificate_thumbprints == {THUMBPRINT}
    assert not taken_by_another(world.authority, "a-firm", client.certificate_thumbprints)
