"""Explanations worded: what each line of a bill and of its sharing rests on, in two languages.

Money is shown in yuan with all its digits, parts per ten thousand as percentages; nothing is
rounded.
"""

from collections.abc import Mapping
from typing import Final, Literal

from creditgate.rating.bill import Explanation
from gateway.settle.shapley import ORDERS
from gateway.settle.shares import WHOLE

Language = Literal["zh", "en"]

_MICRO: Final = 1_000_000
_MONEY: Final = frozenset(
    {
        "amount",
        "cap",
        "earlier",
        "fee",
        "minimum",
        "of_amount",
        "of_fee",
        "owed",
        "rest",
        "unit_price",
    }
)
_PARTS: Final = frozenset({"completeness", "operator", "platform", "region", "source"})
_PER_MILLION: Final = frozenset({"bound", "contribution", "sampled"})
_TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "per_record": (
        "{records} 条 × 每条 {unit_price} 元 = {fee} 元",
        "{records} records at {unit_price} yuan each: {fee} yuan",
    ),
    "per_subject": (
        "{subjects} 个信用主体 × 每个 {unit_price} 元 = {fee} 元",
        "{subjects} subjects at {unit_price} yuan each: {fee} yuan",
    ),
    "per_subject_after": (
        "{subjects} 个信用主体（本月此前已计 {before} 个，不再计）× 每个 {unit_price} 元 = {fee} 元",
        "{subjects} subjects at {unit_price} yuan each, beside {before} that were counted before"
        " in the month: {fee} yuan",
    ),
    "graduated": (
        "当期 {records} 条按阶梯计价，末档 {quantity} 条每条 {unit_price} 元，合计 {fee} 元",
        "{records} records priced tier by tier, the last {quantity} at {unit_price} yuan each:"
        " {fee} yuan",
    ),
    "graduated_after": (
        "接本月此前 {before} 条之后，{records} 条按阶梯计价，末档 {quantity} 条每条 {unit_price} 元，"
        "合计 {fee} 元",
        "{records} records behind the {before} used before in the month, priced tier by tier, the"
        " last {quantity} at {unit_price} yuan each: {fee} yuan",
    ),
    "volume": (
        "当期 {records} 条全部按所达档位每条 {unit_price} 元计价，合计 {fee} 元",
        "all {records} records at {unit_price} yuan each, the price of the tier they reach:"
        " {fee} yuan",
    ),
    "volume_next": (
        "当期 {records} 条；按更高档位起点 {quantity} 条 × {unit_price} 元计更低，取 {fee} 元",
        "{records} records; the start of a later tier, {quantity} at {unit_price} yuan, is"
        " cheaper: {fee} yuan",
    ),
    "volume_after": (
        "本月至此 {records} 条按每条 {unit_price} 元的档位计 {amount} 元，减去此前 {before} 条按同一"
        "方案应计的 {earlier} 元，计 {fee} 元",
        "{amount} yuan for the {records} records of the month so far, by the tier of"
        " {unit_price} yuan each, less {earlier} yuan that the {before} before would cost by it:"
        " {fee} yuan",
    ),
    "free_tier": (
        "公益免费额度：{records} 条中 {free} 条免费，此前费用 {amount} 元，调整 {fee} 元",
        "free tier: {free} of {records} records free, of fees of {amount} yuan: {fee} yuan",
    ),
    "free_tier_after": (
        "公益免费额度（本月此前已免 {before} 条）：{records} 条中 {free} 条免费，此前费用 {amount} 元，"
        "调整 {fee} 元",
        "what is left of the free tier after {before} records free before in the month: {free} of"
        " {records} records free, of fees of {amount} yuan: {fee} yuan",
    ),
    "flat": (
        "固定费：每月 {amount} 元，按生效时长计 {fee} 元",
        "flat fee of {amount} yuan a month, for the time in force: {fee} yuan",
    ),
    "minimum": (
        "最低消费 {minimum} 元（按生效时长计），此前费用 {amount} 元，补足 {fee} 元",
        "minimum of {minimum} yuan for the time in force, fees so far {amount} yuan: {fee} yuan"
        " more",
    ),
    "cap": (
        "封顶 {cap} 元，本月至此费用 {amount} 元，调整 {fee} 元",
        "cap of {cap} yuan, fees of the month so far {amount} yuan: {fee} yuan",
    ),
    "cap_passed": (
        "封顶 {cap} 元，方案生效前本月已计 {earlier} 元，不再增加：费用 {amount} 元，调整 {fee} 元",
        "cap of {cap} yuan, passed by the {earlier} yuan of the month before it was in force:"
        " nothing more, of {amount} yuan: {fee} yuan",
    ),
    "by_records": (
        "按条数分摊：{of_records} 条共 {of_fee} 元，其中 {records} 条计 {fee} 元",
        "by records: {records} of {of_records}, of {of_fee} yuan: {fee} yuan",
    ),
    "by_fees": (
        "按费用分摊：共 {of_fee} 元，其中此前费用 {amount} 元的部分计 {fee} 元",
        "by fees: of {of_fee} yuan, for fees of {amount} yuan: {fee} yuan",
    ),
    "of_no_use": (
        "不属于任何使用：{fee} 元",
        "belongs to no use: {fee} yuan",
    ),
    "shared": (
        "按分成规则 {rule_id}：{fee} 元，来源部门 {source}，地区 {region}，平台 {platform}，"
        "返还机构 {operator}",
        "by rule {rule_id}: of {fee} yuan {source} to the source, {region} to the region,"
        " {platform} to the platform, {operator} back to the operator",
    ),
    "shared_pooled": (
        "按分成规则 {rule_id}：{fee} 元，来源部门合计 {source}（汇总后再分），地区 {region}，"
        "平台 {platform}，返还机构 {operator}",
        "by rule {rule_id}: of {fee} yuan {source} to the pool of all sources, {region} to the"
        " region, {platform} to the platform, {operator} back to the operator",
    ),
    "shared_of_no_use": (
        "按分成规则 {rule_id}：{fee} 元不属于任何使用，平台 {platform}，返还机构 {operator}",
        "by rule {rule_id}: {fee} yuan belong to no use, {platform} to the platform, {operator}"
        " back to the operator",
    ),
    "shared_beyond_owed": (
        "{fee} 元中 {owed} 元应付其他地区；其余 {rest} 元按分成规则 {rule_id}：来源部门 {source}，"
        "地区 {region}，平台 {platform}，返还机构 {operator}",
        "of {fee} yuan {owed} yuan are owed to other regions; of the other {rest} yuan, by rule"
        " {rule_id}, {source} to the source, {region} to the region, {platform} to the platform,"
        " {operator} back to the operator",
    ),
    "shared_pooled_beyond_owed": (
        "{fee} 元中 {owed} 元应付其他地区；其余 {rest} 元按分成规则 {rule_id}：来源部门合计 {source}"
        "（汇总后再分），地区 {region}，平台 {platform}，返还机构 {operator}",
        "of {fee} yuan {owed} yuan are owed to other regions; of the other {rest} yuan, by rule"
        " {rule_id}, {source} to the pool of all sources, {region} to the region, {platform} to"
        " the platform, {operator} back to the operator",
    ),
    "less_than_owed": (
        "收费 {fee} 元，应付其他地区 {owed} 元：差额 {rest} 元由平台承担",
        "{fee} yuan, of which {owed} yuan are owed to other regions: the platform bears the"
        " difference, {rest} yuan",
    ),
    "pool_by_use": (
        "分成规则 {rule_id}：来源部门合计 {amount} 元，按使用条数分配",
        "rule {rule_id}: {amount} yuan of all sources, divided by records used",
    ),
    "pool_by_contribution": (
        "分成规则 {rule_id}：来源部门合计 {amount} 元，按各来源对多来源答复的贡献（沙普利值，"
        "精确计算）分配，完整性占 {completeness}",
        "rule {rule_id}: {amount} yuan of all sources, divided by what each contributed to"
        " answers (Shapley value, exact), completeness counting {completeness}",
    ),
    "pool_by_contribution_sampled": (
        "分成规则 {rule_id}：来源部门合计 {amount} 元，按各来源对多来源答复的贡献（沙普利值）"
        "分配，完整性占 {completeness}；其中 {sampled} 的价值以 {orders} 个可复现的次序估计，"
        "误差不超过该部分价值的 {bound}（置信度 99.9%）",
        "rule {rule_id}: {amount} yuan of all sources, divided by what each contributed to"
        " answers (Shapley value), completeness counting {completeness}; {sampled} of the worth"
        " is estimated from {orders} orders that can be drawn again, off by at most {bound} of"
        " it (99.9 % of times)",
    ),
    "pool_by_use_share": (
        "{whole} 条中 {weight} 条：{of_amount} 元中的 {amount} 元",
        "{weight} of {whole} records: {amount} of {of_amount} yuan",
    ),
    "pool_by_contribution_share": (
        "贡献占 {contribution}（四舍五入）：{of_amount} 元中的 {amount} 元",
        "contribution of {contribution} (rounded): {amount} of {of_amount} yuan",
    ),
}
KEYS: Final = frozenset(_TEXTS)
"""The keys of all explanations there are."""


def explained(explanation: Explanation, language: Language) -> str:
    """Return an explanation in words. Raises KeyError for one there is no text for."""
    text = _TEXTS[explanation.key][0 if language == "zh" else 1]
    shown = {name: _shown(name, value) for name, value in explanation.numbers.items()}
    return text.format(orders=ORDERS, **shown)


def yuan(micro_yuan: int) -> str:
    """Return an amount in yuan, with as many decimals as it has, at least two."""
    return _decimal(micro_yuan, _MICRO, 2)


def _shown(name: str, value: int | str) -> str:
    if isinstance(value, str):
        return value
    if name in _MONEY:
        return yuan(value)
    if name in _PARTS:
        return _decimal(value, WHOLE // 100, 0) + "%"
    if name in _PER_MILLION:
        return _decimal(value, _MICRO // 100, 0) + "%"
    return str(value)


def _decimal(value: int, unit: int, least: int) -> str:
    """Return ``value`` units of 1/``unit``, a power of ten, with at least so many decimals."""
    whole, rest = divmod(abs(value), unit)
    digits = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0").ljust(least, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"
