"""The log of decisions under another key has again all that was written."""

from sqlalchemy import func, select

from gateway.audit.fact_tables import FACTS
from gateway.storage.engines import reading
from tests.cli.commands import creditgate, creditgate_here
from tests.installation import Installation, eventually


async def _logged(installation: Installation) -> int:
    """Run a gateway until it has logged every change of authority, and return how many facts."""

    async def all_logged() -> bool:
        return _facts(installation) >= installation.log.head()

    async with installation.running():
        await eventually(all_logged, 20)
    return _facts(installation)


def _facts(installation: Installation) -> int:
    with reading(installation.engines.evidence) as connection:
        return connection.execute(select(func.count()).select_from(FACTS)).scalar_one()


async def test_all_that_was_written_is_logged_again_under_another_key(
    embedded: Installation,
) -> None:
    before = await _logged(embedded)
    assert before > 0
    # A program of its own: what it forgets must not rest on what else was imported.
    done = creditgate(embedded.folder, "log", "rotate", "--log", "decisions", "--at-once")
    assert done.status == 0, done.told
    assert _facts(embedded) == 0
    assert await _logged(embedded) == before
    checked = creditgate_here(embedded.folder, "log", "check")
    assert checked.status == 0, checked.out + checked.told
