"""Copies of what another region discloses: nobody honest is accused for them."""

import time
from pathlib import Path

from sqlalchemy import select

from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.conformance.finding_tables import FINDINGS
from gateway.disclose.store import DisclosureStore
from tests.conformance.attesting import attest, copy_of
from tests.conformance.policies import policy_file
from tests.federation.asking.world import World, company, ended, open_world
from tests.installation import eventually
from tests.server.calls import query

_SOON = dict.fromkeys(["NONE", "MINOR", "GENERAL", "SERIOUS"], "PT2S")


async def test_copies_that_came_from_another_region_are_not_taken_for_obtained_elsewhere(
    tmp_path: Path,
) -> None:
    policy = policy_file(tmp_path)
    async with open_world(tmp_path, conformance_policy=policy) as world:
        subject = company("two")
        await world.publish(world.two, subject, 2)
        answer = await world.ask(subject)
        copies = [copy_of(each) for _, each in answer.regions[world.two.entity_id].records]
        stranger = copies[0]._replace(record_id="nobody-gave-it")

        async with world.one.gateway.channel("alpha-one") as channel:
            attested = await attest(channel, copies)
            lied = await attest(channel, [*copies, stranger])

        assert len(copies) == 2
        assert (attested.copies, attested.opened_findings) == (2, 0)
        assert attested.certified
        assert (lied.copies, lied.opened_findings) == (3, 1)


async def test_a_region_is_not_held_to_removals_and_attestations_as_firms_are(
    tmp_path: Path,
) -> None:
    policy = policy_file(tmp_path, removal=_SOON, attestation="PT2S")
    async with open_world(tmp_path, conformance_policy=policy) as world:
        subject = company("two")
        (name,) = await world.publish(world.two, subject, 1)
        await world.ask(subject)
        async with world.two.gateway.channel("alpha-one") as channel:
            # A firm of the home region that was served the same, to see by when it would be found.
            await query(channel, subject)
        DisclosureStore(world.two.installation.engines.records).end(
            name.removeprefix("records/"),
            1,
            DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED,
            "decision",
            "site",
            int(time.time()),
        )

        async def firm_found() -> bool:
            return {"alpha"} <= {operator_id for operator_id, _ in found(world)}

        await eventually(firm_found, 20)
        assert {operator_id for operator_id, _ in found(world)} == {"alpha"}
        assert ended(await world.ask(company("two")), world.two) == "EMPTY"


def found(world: World) -> list[tuple[str, int]]:
    with world.two.installation.engines.evidence.connect() as connection:
        return [
            (row[0], row[1])
            for row in connection.execute(select(FINDINGS.c.operator_id, FINDINGS.c.kind))
        ]
