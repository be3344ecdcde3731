"""Stages: what findings entail at an instant, by the policy. Pure.

Source: Opinions on improving the social credit system (2025-03-31), articles 8 and 9: what is
used beyond the disclosure is stopped; measures grow with how long and how gravely it lasts.
"""

from collections.abc import Iterable
from typing import NamedTuple

from gateway.conformance.model import NONE, RECTIFY, SUSPENDED, THROTTLED, WARNED, Stage
from gateway.conformance.policy import ConformancePolicy


class Against(NamedTuple):
    """Open findings of one kind against an operator, by what decides their stage.

    Of several, ``counted_from`` and ``deadline`` are the earliest: the stage that follows is
    that of the worst of them. ``pardoned``: their suspension was lifted by an administrator.
    ``mended_at`` is when false attestations were rectified, 0 for what stands.
    """

    kind: int
    counted_from: int
    deadline: int
    pardoned: bool
    mended_at: int = 0


def stage_of(policy: ConformancePolicy, against: Against, now: int) -> Stage:
    """Return what open findings entail at ``now`` (seconds, UTC); `NONE` for information."""
    rule = policy.rule(against.kind)
    if rule is None:
        return NONE
    if against.mended_at:
        # What it had come to stays for a while: a lie is not undone by another attestation.
        if now >= against.mended_at + policy.false_seconds:
            return NONE
        now = against.mended_at
    if now >= against.deadline + policy.throttled_seconds:
        reached = SUSPENDED
    elif now >= against.deadline:
        reached = THROTTLED
    elif now >= against.counted_from + policy.warned_seconds:
        reached = RECTIFY
    else:
        reached = WARNED
    stage = min(max(reached, rule.first_stage), rule.last_stage)
    return min(stage, THROTTLED) if against.pardoned else stage


def next_boundary(policy: ConformancePolicy, against: Against, now: int) -> int | None:
    """Return the first instant after ``now`` at which time alone may change the stage."""
    if against.mended_at:
        over = against.mended_at + policy.false_seconds
        return over if over > now else None
    instants = (
        against.counted_from + policy.warned_seconds,
        against.deadline,
        against.deadline + policy.throttled_seconds,
    )
    return min((at for at in instants if at > now), default=None)


def worst(policy: ConformancePolicy, all_against: Iterable[Against], now: int) -> Stage:
    """Return the worst stage that findings entail at ``now``, `NONE` where there are none."""
    return max((stage_of(policy, each, now) for each in all_against), default=NONE)


def settled(present: Stage, reached: Stage, *, cleared: bool) -> Stage:
    """Return the stage an operator comes to from ``present`` when its findings entail
    ``reached``.

    A suspension stays until all is ``cleared``: it is not lifted by contesting findings or by
    mending some.
    """
    return SUSPENDED if present == SUSPENDED and not cleared else reached
