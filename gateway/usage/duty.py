"""The duty to agree with use: since when there is use that an operator has not agreed with, and
what follows. Pure.

A use is agreed with by a cosignature of a checkpoint that has it. Time counts from the oldest
use that no cosignature covers: agreeing with a part moves it on to the next, and no further. An
operator that is refused must agree with all that was logged when that began; then nothing of
what it was refused for is left, however the clock was set meanwhile.

Nobody is refused that was not reminded for as long as the policy says before: where the gateway
was away when it should have reminded, time counts from when it did. Agreeing with a part does not
make that time begin anew.
"""

from typing import NamedTuple

from gateway.usage.policy import AgreementPolicy


class Duty(NamedTuple):
    """How an operator stands that has not agreed with all that is logged.

    ``agreed`` are the uses it has agreed with, ``since`` (seconds, UTC) is when the next one
    was made, ``reminded`` tells whether it was told of that, ``due`` is how many uses it must
    agree with to be served, 0 while it is. Before ``spared_until`` (seconds, UTC) it is not refused.
    """

    agreed: int
    since: int
    reminded: bool
    due: int
    spared_until: int = 0


class Looked(NamedTuple):
    """What is seen of an operator at ``now``: uses ``logged``, uses ``agreed`` with, and when
    the oldest was ``made`` that is not; seconds, UTC."""

    logged: int
    agreed: int
    made: int
    now: int


def duty_after(
    before: Duty | None, looked: Looked, operator_id: str, policy: AgreementPolicy
) -> Duty | None:
    """Return an operator's duty as of a look, None where it has agreed with all that is logged."""
    if before is not None and looked.agreed > looked.logged:
        # Under another key the log is being made anew: it is not there yet as far as it was.
        return before
    if looked.agreed >= looked.logged:
        return None
    since, reminded, due, spared = looked.now, False, 0, 0
    if before is not None:
        since, spared = before.since, before.spared_until
        if before.agreed == looked.agreed:
            reminded = before.reminded
        else:
            # What was there before the duty was looked at first is counted from that.
            since = max(since, min(looked.made, looked.now))
        due = before.due if before.due > looked.agreed else 0
    reminded = reminded or looked.now >= since + policy.remind_seconds
    if reminded and not (before is not None and before.reminded):
        spared = max(spared, looked.now + policy.refuse_seconds)
    refused_from = refused_from_on(policy, operator_id, since, spared)
    if refused_from is None or looked.now < policy.excused_until(operator_id):
        due = 0
    elif not due and looked.now >= refused_from:
        due = looked.logged
    return Duty(looked.agreed, since, reminded, due, spared)


def refused_from_on(
    policy: AgreementPolicy, operator_id: str, since: int, spared_until: int
) -> int | None:
    """Return from when on an operator of such a duty is refused, None for never; seconds, UTC."""
    refused_from = policy.refused_from(operator_id, since)
    return None if refused_from is None else max(refused_from, spared_until)
