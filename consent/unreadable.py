"""Consents that this version cannot read: left as they are, so that others do not wait."""

import logging
from collections.abc import Generator
from contextlib import contextmanager

from pydantic import ValidationError

_log = logging.getLogger(__name__)


@contextmanager
def unreadable_left(consent_id: str) -> Generator[None]:
    """Leave a consent alone that cannot be read; what else goes wrong is raised.

    Such a consent opens nothing either: whoever would serve under it cannot read it.
    """
    try:
        yield
    except ValidationError:
        # Not the error itself: it holds what was read.
        _log.error("consent %s cannot be read and is left as it is", consent_id)
