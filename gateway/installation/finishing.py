"""Finishing, at a start, a change of a log's key that was cut off: by the former key nothing starts.

One that is under way looks the same. Whoever does it is alone on the store, so who is alone there as
well knows that nobody does.
"""

import logging
from time import monotonic, sleep

from sqlalchemy import Engine

from gateway.installation.home import Home
from gateway.storage.at_work import AGAIN_SECONDS, PATIENT_SECONDS, KeysChanging, StillAtWork, alone
from gateway.transparency.succeeding import finish, is_begun, is_signed_over
from gateway.transparency.tables import LogId

_log = logging.getLogger(__name__)


def finish_successions(evidence: Engine, home: Home) -> None:
    """Finish what `creditgate log rotate` began, once nobody is at it, and warn where a process of a
    former version signed since by the former key. Blocks.

    Raises KeysChanging where somebody is for long, OSError, ValueError where what lies beside a key
    is damaged, and what the store raises.
    """
    until = monotonic() + PATIENT_SECONDS
    # Again each time: whoever is alone may end it meanwhile.
    while is_any_begun(evidence, home):
        try:
            with alone(evidence):
                _finish_all(evidence, home)
        except StillAtWork:
            if monotonic() >= until:
                raise KeysChanging from None
            sleep(AGAIN_SECONDS)
    for log in LogId:
        if is_signed_over(evidence, log, home.log_key(log.path)):
            _warn_of_former(log)


def is_any_begun(evidence: Engine, home: Home) -> bool:
    """Tell whether a change of a log's key is under way, or was cut off. Blocks; raises as
    `finish_successions`."""
    return any(is_begun(evidence, log, home.log_key(log.path)) for log in LogId)


def _finish_all(evidence: Engine, home: Home) -> None:
    for log in LogId:
        begun = finish(evidence, log, home.log_key(log.path))
        if begun is None:
            continue
        if begun.is_cut_off:
            _log.warning("the change of the key of the log of %s was cut off; it is done", log.path)
        else:
            _warn_of_former(log)


def _warn_of_former(log: LogId) -> None:
    _log.warning(
        "after the key of the log of %s was changed, a process of a former version signed by the former"
        " key: what the store has is gone on with by the present one. Stop processes of former versions,"
        " on every host",
        log.path,
    )
