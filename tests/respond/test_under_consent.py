"""What counts as served under a consent is what it opened, and of who gave it."""

import pytest
from sqlalchemy import select, update

from consent.model import ONCE, WITHIN_PERIOD, ConsentItem
from consent.queries import ConsentQueries
from consent.states import FINAL
from consent.tables import CONSENT as CONSENT_TABLE
from creditgate.v1.consent_service_pb2 import ConsentAccessMode
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.catalogue.model import CATALOGUE_ITEM
from gateway.conformance.served import Served, ServedReader
from gateway.consents.accesses import Accesses
from gateway.storage.engines import reading
from operators.log import Draft
from tests import consenting
from tests.meter.world import NOW, company
from tests.respond.world import CONSENT, OPEN, World, item, record

CONTENT = b'{"about":"x","score":7}'


def served(world: World) -> Served:
    """Return what operator alpha was served, as what it holds is judged by."""
    with reading(world.engine) as connection:
        return ServedReader(ConsentQueries(world.engine)).read(connection, "alpha", 0, 100)


def seen(world: World, number: int) -> dict[str, bool]:
    """Return the records that a company sees used, and whether under its consent."""
    accesses = Accesses(world.engine, world.consents, lambda: ("alpha",), world.clock)
    page = accesses.of_subject(company(number), limit=100)
    return {each.record_id: bool(each.consent) for each in page.accesses}


async def test_what_has_become_public_and_what_is_anothers_is_not_served_under_a_consent(
    world: World,
) -> None:
    closed = item(OPEN).model_copy(update={"openness": Openness.OPENNESS_CONSENT})
    world.publish(
        *(record(name, 1, code, content=CONTENT) for name, code in (("a", CONSENT), ("b", OPEN))),
        record("c", 2, OPEN, content=CONTENT),
    )
    await world.put(Draft(CATALOGUE_ITEM, OPEN, 1, closed.as_document()))
    score = frozenset({"score"})
    consent = world.give(1, *(ConsentItem(item=code, fields=score) for code in (OPEN, CONSENT)))
    await world.put(Draft(CATALOGUE_ITEM, OPEN, 2, item(OPEN).as_document()))
    (answer,) = await world.batch([1, 2], consent=consent.name)
    assert [list(each.served_fields) for each in answer.records] == [["score"], [], []]
    assert (len(served(world).copies), len(served(world).whole)) == (1, 2)
    assert seen(world, 1) == {"a": True, "b": False}


async def test_answers_alike_are_read_from_memory_but_not_what_no_consent_could_be_read_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(record("a", 1, CONSENT, content=CONTENT))
    consent = world.give(1)
    await world.ask(1, consent=consent.name)
    reader = ServedReader(ConsentQueries(world.engine))
    own = CONSENT_TABLE.c.consent_id == consent.consent_id

    def write(document: str) -> None:
        with world.engine.begin() as connection:
            connection.execute(update(CONSENT_TABLE).where(own).values(document=document))

    def read(after: int) -> Served:
        with reading(world.engine) as connection:
            return reader.read(connection, "alpha", after, 100)

    with reading(world.engine) as connection:
        document = connection.execute(select(CONSENT_TABLE.c.document).where(own)).scalar_one()
    write("{}")
    first = read(0)
    assert (len(first.cut), first.copies) == (1, [])
    write(document)
    (copy,) = read(0).copies
    world.clock.at += 7
    await world.ask(1, consent=consent.name)
    monkeypatch.setattr(ConsentQueries, "readable", None)
    monkeypatch.setattr("gateway.conformance.served.cut_digest", None)
    assert read(first.position).copies == [copy._replace(keep_until=copy.keep_until + 7)]


async def test_a_copy_given_twice_may_be_kept_until_the_later_ones_life_is_over(
    world: World,
) -> None:
    world.publish(record("a", 1, CONSENT, content=CONTENT))
    consent = world.give(1)
    await world.ask(1, consent=consent.name)
    world.clock.at += 7
    await world.ask(1, consent=consent.name)
    (copy,) = served(world).copies
    assert copy.keep_until == NOW + 7 + consent.terms.data_life_seconds


@pytest.mark.parametrize("access_mode", [WITHIN_PERIOD, ONCE])
async def test_an_answer_that_found_only_what_is_public_leaves_nothing_to_remove(
    world: World, access_mode: ConsentAccessMode.ValueType
) -> None:
    world.publish(record("b", 1, OPEN), record("c", 2, OPEN))
    consent = world.give(1, access_mode=access_mode)
    await world.batch([1, 2], consent=consent.name)
    use = world.consents.uses([consent.consent_id])[consent.consent_id]
    assert (use.answered, use.last_at) == (1, None)
    if access_mode != ONCE:
        # One for a single answer has ended by itself.
        consenting.moved(world.consents, consent, "revoke")
    assert world.consents.look(consent.consent_id, NOW).state in FINAL
    assert not world.consents.removals([consent.consent_id])
