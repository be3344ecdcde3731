"""What this region tells others of the keys its logs had and have next, composed."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from gateway.server.grounds import Grounds
from gateway.storage.background import Pace, Rounds
from gateway.transparency.links import LogLinks

_PACE: Final = Pace(1.0)


@asynccontextmanager
async def links_told(
    grounds: Grounds, links: Mapping[str, LogLinks], told: dict[str, list[str]]
) -> AsyncGenerator[None]:
    """Keep ``told`` what there is of each of ``links`` while the context lasts: a key may be
    announced at any time. Raises what the store raises."""

    def read() -> dict[str, list[str]]:
        return {name: each.notes() for name, each in links.items()}

    async def look() -> bool:
        told.update(await asyncio.to_thread(read))
        return False

    await look()
    rounds = Rounds("log-links", look, _PACE, sign=grounds.signs.evidence)
    rounds.start()
    try:
        yield
    finally:
        await rounds.stop()
