"""What happens to a question after its answer was metered and before that is given."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from creditgate.refusal import Refused
from gateway.federation.witness.quorum import HomeQuorum
from tests.installation import eventually


@contextmanager
def once_metered(act: Callable[[], object]) -> Generator[list[int]]:
    """Have the first answer to a region from now on wait, once it was metered, until ``act`` was
    done and the home region has heard that the question may not be answered any more.

    Gives, by their log's size, the answers that came so far.
    """
    cosigned, came = HomeQuorum.cosigned, list[int]()

    async def waiting(self: HomeQuorum, size: int, require: Callable[[], None], *more: Any) -> Any:
        came.append(size)
        if len(came) == 1:
            act()
            await eventually(_ended(require))
        return await cosigned(self, size, require, *more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(HomeQuorum, "cosigned", waiting)
        yield came


def _ended(require: Callable[[], None]) -> Callable[[], Awaitable[bool]]:
    async def ended() -> bool:
        try:
            require()
        except Refused:
            return True
        return False

    return ended
