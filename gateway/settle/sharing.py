"""Sharing a bill among sources, regions, the platform and the operator, by the rules in force. Pure.

Source: Opinions on improving the social credit system (2025-03-31), article 9 (the value of
authorised operation is shared fairly).

Fees of one item, source and region under one rule are shared as one sum, net of credits, so
that rounding does not add up over lines. Where other regions supplied some of its records, that
sum is divided by records first, so that what one of them is owed takes nothing of what others
supplied. Where a rule does not leave each source the part of
its own fees, the sources' parts are pooled, and the pool is divided among all of them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from creditgate.rating.bill import NO_ITEM, Bill, Explanation
from creditgate.rating.division import divide
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.settle.bill import Pool, PoolShare, SharedBill, SharedLine
from gateway.settle.contribution import contribution
from gateway.settle.month import utc_text
from gateway.settle.shares import (
    BY_CONTRIBUTION,
    OWN,
    PLATFORM,
    Share,
    SharingBook,
    SharingRule,
    peer_share,
)
from gateway.settle.use import Combination, MonthUse, Owed

_Combinations = Callable[[], Sequence[Combination]]


class _Key(NamedTuple):
    """What is shared as one sum; ``rule_from`` orders by start of the rule, ``peer`` is the region
    that supplied it, "" of own records."""

    rule_from: int
    rule_id: str
    item: str
    source: str
    region: str
    operator_class: str
    peer: str = ""


def share_bill(
    bill: Bill,
    use: MonthUse,
    sharing: SharingBook,
    owed: Iterable[Owed] = (),
    *,
    rebates: bool = True,
    apart: bool = True,
) -> SharedBill:
    """Return who gets what of ``bill``, the rating of ``use``, and of which other regions are
    ``owed``. Without ``rebates`` the operator gets nothing back. Unless ``apart``, what regions are
    owed is taken of own records' fees too, as it was once.

    Raises Refused STATE_CONFLICT when no rule was in force for some of it.
    """
    rules: dict[_Key, SharingRule] = {}
    fees: dict[_Key, int] = defaultdict(int)
    classes: dict[int, str] = {}

    def key_of(part_from: int, item: str, source: str, region: str) -> _Key:
        rule = _rule(sharing, part_from)
        key = _Key(
            rule.effective_from, rule.rule_id, item, source, region, classes.get(part_from, "")
        )
        rules[key] = rule
        return key

    for line in bill.lines:
        classes[line.part_from] = line.operator_class
        fees[key_of(line.part_from, line.item, line.source, line.region)] += line.fee
    supplied: dict[_Key, Counter[str]] = defaultdict(Counter)
    set_aside: dict[_Key, Counter[str]] = defaultdict(Counter)
    for each in owed:
        key = key_of(each.part_from, each.item, each.source, each.district)
        fees[key] += 0
        supplied[key][each.region] += each.records
        set_aside[key._replace(peer=each.region) if apart else key][each.region] += each.amount
    whole: Counter[_Key] = Counter()
    for part in use.parts if supplied else ():
        whole[key_of(part.part_from, part.item, part.source, part.region)] += part.records
    lines = tuple(
        _line(bill.operator_id, key, rules[shared], fee, set_aside[key], rebates=rebates)
        for shared in sorted(fees)
        for key, fee in (
            _by_supplier(shared, fees[shared], whole[shared], supplied[shared])
            if apart and shared in supplied
            else ((shared, fees[shared]),)
        )
    )
    # Asked for once, and only where a rule needs them.
    combinations = cache(use.combinations)
    by_id = {rules[key].rule_id: rules[key] for key in sorted(rules)}
    pools = tuple(
        _pool(rule, amount, bill, use, combinations, sharing)
        for rule in by_id.values()
        if (amount := _amount(lines, _pool_name(rule))) > 0
    )
    return SharedBill(bill, lines, pools, _together(lines, pools), tuple(by_id))


def _by_supplier(
    key: _Key, fee: int, records: int, peers: Counter[str]
) -> Iterator[tuple[_Key, int]]:
    """Yield the part of a fee that each has supplied: own records, if there are any, and each of
    the ``peers`` as many as it has of all ``records``."""
    names = sorted(peers)
    counts = [max(records - peers.total(), 0), *(peers[name] for name in names)]
    own, *parts = divide(fee, counts) if any(counts) else (fee, *(0 for _ in names))
    if own or counts[0]:
        yield key, own
    yield from zip((key._replace(peer=name) for name in names), parts, strict=True)


def _rule(sharing: SharingBook, at: int) -> SharingRule:
    rule = sharing.rule_at(at)
    if rule is None:
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "No sharing rule was in force for some use of the month: an administrator creates"
            f" one with effective_from {utc_text(at)} or earlier"
            " (SettlementService.CreateSharingRule).",
        )
    return rule


def _line(
    operator_id: str,
    key: _Key,
    rule: SharingRule,
    fee: int,
    set_aside: Mapping[str, int],
    *,
    rebates: bool,
) -> SharedLine:
    source, region, platform, operator = rule.parts
    if not rebates or not rule.gives_back(key.operator_class):
        platform, operator = platform + operator, 0
    explanation = "shared" if rule.source_division == OWN else "shared_pooled"
    if key.item == NO_ITEM:
        source, region, platform = 0, 0, source + region + platform
        explanation = "shared_of_no_use"
    numbers: dict[str, int | str] = {"fee": fee, "rule_id": rule.rule_id}
    peers = {peer_share(name): part for name, part in sorted(set_aside.items()) if part}
    rest = fee - sum(peers.values())
    if peers:
        numbers |= {"owed": fee - rest, "rest": rest}
        explanation += "_beyond_owed"
    if rest < 0:
        shares = {**peers, PLATFORM: rest}
        explanation = "less_than_owed"
    else:
        parts = source, region, platform, operator
        own = f"sources/{key.source}" if rule.source_division == OWN else _pool_name(rule)
        names = own, f"regions/{key.region}", PLATFORM, f"operators/{operator_id}"
        divided = zip(names, divide(rest, parts), parts, strict=True)
        shares = {**peers, **{name: amount for name, amount, part in divided if part}}
        numbers |= {
            "source": source,
            "region": region,
            "platform": platform,
            "operator": operator,
        }
    return SharedLine(
        rule.rule_id,
        key.item,
        key.source,
        key.region,
        fee,
        tuple(Share(*each) for each in shares.items()),
        Explanation(explanation, numbers),
    )


def _pool_name(rule: SharingRule) -> str:
    return f"pools/{rule.rule_id}"


def _amount(lines: Iterable[SharedLine], beneficiary: str) -> int:
    return sum(
        share.amount for line in lines for share in line.shares if share.beneficiary == beneficiary
    )


def _pool(
    rule: SharingRule,
    amount: int,
    bill: Bill,
    use: MonthUse,
    combinations: _Combinations,
    sharing: SharingBook,
) -> Pool:
    weights: Mapping[str, int] = {}
    numbers: dict[str, int | str] = {"amount": amount, "rule_id": rule.rule_id}
    key = "pool_by_use"
    if rule.source_division == BY_CONTRIBUTION:
        under = [each for each in combinations() if sharing.rule_at(each.part_from) is rule]
        found = contribution(rule, under, bill.cells, use.from_)
        weights = found.weights
        key = "pool_by_contribution_sampled" if found.bound_per_million else "pool_by_contribution"
        numbers |= {
            "completeness": rule.completeness_basis_points,
            "bound": found.bound_per_million,
            "sampled": found.sampled_per_million,
        }
    if not any(weights.values()):
        # Nothing contributed has any worth: what is left to go by is use.
        weights, key = _records(rule, use, sharing), "pool_by_use"
    whole = sum(weights.values())
    amounts = divide(amount, tuple(weights.values()))
    return Pool(
        rule.rule_id,
        rule.source_division,
        amount,
        tuple(
            PoolShare(
                f"sources/{source}",
                weight,
                part,
                Explanation(
                    f"{key.removesuffix('_sampled')}_share",
                    {**_weighed(key, weight, whole), "amount": part, "of_amount": amount},
                ),
            )
            for (source, weight), part in zip(weights.items(), amounts, strict=True)
            if weight
        ),
        Explanation(key, numbers),
    )


def _weighed(key: str, weight: int, whole: int) -> Mapping[str, int]:
    """Return what a share is told by: records, or millionths of all contribution."""
    if key == "pool_by_use":
        return {"weight": weight, "whole": whole}
    return {"contribution": (weight * 2_000_000 + whole) // (2 * whole)}


def _records(rule: SharingRule, use: MonthUse, sharing: SharingBook) -> Mapping[str, int]:
    records: dict[str, int] = defaultdict(int)
    for part in use.parts:
        if sharing.rule_at(part.part_from) is rule:
            records[part.source] += part.records
    return dict(sorted(records.items()))


def _together(lines: Sequence[SharedLine], pools: Sequence[Pool]) -> tuple[Share, ...]:
    amounts: dict[str, int] = defaultdict(int)
    pooled = {f"pools/{pool.rule_id}" for pool in pools}
    for line in lines:
        for name, amount in line.shares:
            if name not in pooled:
                amounts[name] += amount
    for pool in pools:
        for share in pool.shares:
            amounts[share.beneficiary] += share.amount
    return tuple(Share(name, amounts[name]) for name in sorted(amounts) if amounts[name])
