"""A consent that ends once another region has metered what it opens: both ends count the same."""

from functools import partial
from uuid import uuid4

import grpc
import pytest

from tests.consents.counter import Counter
from tests.federation.asking.lost import entries
from tests.federation.asking.world import World, closing, company, ended
from tests.federation.metered_first import once_metered
from tests.installation import CONSENT_ITEM, eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_what_a_region_metered_before_it_heard_is_owed_and_given_to_nobody(
    world: World, counter: Counter
) -> None:
    subject, request_id = company("two"), uuid4().hex
    await world.publish(world.two, subject, records=2, item=CONSENT_ITEM)
    # By now the region's log with the record is witnessed.
    assert ended(await world.ask(subject), world.two) == "EMPTY"
    consent = await counter.given(subject)
    with once_metered(partial(counter.revoke, consent)) as came:
        try:
            answer = await world.ask(
                subject,
                items=[CONSENT_ITEM],
                consent=consent.name,
                request_id=request_id,
                regions=[world.two.entity_id],
            )
        except grpc.aio.AioRpcError:
            pass
        else:
            assert ended(answer, world.two) == "REFUSED"
            assert closing(answer, world.two).charged_micro_yuan == 0
    assert came

    async def the_same() -> bool:
        asking, home = entries(world, request_id)
        return asking == home and len(home) == 2

    await eventually(the_same, 10)
    now = counter.now
    kept = [
        use
        for each in world.uses.answers(world.two.entity_id, now - 60, now + 60)
        if each.request_id == request_id
        for use in world.uses.uses(each)
    ]
    # It did as it had to: nobody suspects it.
    assert [(use.passed_on, use.withheld) for use in kept] == [(False, True)] * 2
