"""Words of printed statements, in Chinese and English."""

from collections.abc import Mapping
from typing import Final, Literal, cast

Language = Literal["zh", "en"]
LANGUAGES: Final = frozenset({"zh", "en"})

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "title": ("使用费账单", "Statement of use"),
    "subtitle": (
        "公共信用信息授权运营网关",
        "Gateway for the authorised operation of public-credit data",
    ),
    "numbered": ("第 {number} 页，共 {total} 页", "Page {number} of {total}"),
    "operator": ("运营机构", "Operator"),
    "all": ("全部", "all"),
    "period": ("账期（UTC）", "Period (UTC)"),
    "months": ("{first} 至 {last}", "{first} to {last}"),
    "comma": ("，", ", "),
    "source": ("来源部门", "Source"),
    "region": ("地区", "Region"),
    "state": ("状态", "State"),
    "CLOSED": ("已结算，内容不再变化", "closed: it never changes"),
    "OPEN": ("未结算，金额尚可变化", "open: amounts may still change"),
    "closed_at": ("结算时间", "Closed at"),
    "as_of": ("出具时间", "As of"),
    "issuer": ("出具网关", "Gateway"),
    "owed": ("应付合计（元）", "Owed (yuan)"),
    "received": ("分配合计（元）", "Distributed (yuan)"),
    "records": ("计费条数", "Records charged"),
    "list_price": ("按目录价计（元）", "At list prices (yuan)"),
    "plans": ("价格方案", "Price plans"),
    "rules": ("分成规则", "Sharing rules"),
    "summary": ("一、汇总", "1. Summary"),
    "charts": ("二、图示", "2. Charts"),
    "fees": ("三、费用明细", "3. Fees"),
    "shares": ("四、分配明细", "4. Shares"),
    "changes": ("五、调整与贷记", "5. Adjustments and credit notes"),
    "checking": ("六、核验", "6. Checking"),
    "by_item": ("各事项应付（元）", "Owed by item (yuan)"),
    "by_month": ("各月应付（元）", "Owed by month (yuan)"),
    "by_beneficiary": ("各方分得（元）", "Received by beneficiary (yuan)"),
    "month": ("月份", "Month"),
    "item": ("事项", "Item"),
    "source_region": ("来源部门、地区", "Source, region"),
    "why": ("依据", "Why"),
    "yuan": ("元", "Yuan"),
    "beneficiary": ("分得方", "Beneficiary"),
    "about": ("事由", "About"),
    "ADJUSTMENT": ("以前月份调整 {about}", "Adjustment of {about}"),
    "CREDIT_NOTE": ("贷记单 {about}", "Credit note {about}"),
    "other": ("其他", "others"),
    "none": ("无。", "None."),
    "no_use": ("不属于任何使用", "of no use"),
    "platform": ("平台", "platform"),
    "more": (
        "另有 {count} 行，合计 {yuan} 元，见 CSV 或 Parquet 文件。",
        "{count} more rows, {yuan} yuan together: see the CSV or Parquet file.",
    ),
    "digest": ("账单摘要 SHA-256", "Statement SHA-256"),
    "check": (
        "签名的 JSON 文件可离线核验，不需要账户：",
        "The signed JSON is verified offline, without an account:",
    ),
    "trace": (
        "任何一行都可追到每次使用，再到授权与记录：",
        "Each line is traced to its single uses, their consents and records:",
    ),
    "authority": (
        "本页与签名的 JSON 文件不一致的，以后者为准。",
        "Where this differs from the signed JSON, that one counts.",
    ),
}


def language_named(name: str) -> Language:
    """Return a language by its name; "" means Chinese. Raises ValueError for another one."""
    if name and name not in LANGUAGES:
        raise ValueError("no such language")
    return cast(Language, name or "zh")


def said(word: str, language: Language, **numbers: str | int) -> str:
    """Return words by their name, with what they name in braces where it is given."""
    text = _WORDS[word][0 if language == "zh" else 1]
    return text.format(**numbers) if numbers else text
