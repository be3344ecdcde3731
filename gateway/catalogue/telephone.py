"""Mobile numbers in free text, told from sums, quantities and the numbers of documents.

Eleven digits have no check of their own: what stands before and behind them says what they are.
Texts come in plain characters, see `personal`.
"""

import re
from typing import Final

from gateway.catalogue.digits import AFTER, BEFORE, GAP

_COUNTRY: Final = r"(?:(?:\+|00)?86[ -]?)?"
_DAY: Final = r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
# The numbering plan of mobile networks (YD/T 1444 prefixes in use), with or without +86, in the
# groups that people make. What three digits and a point begin is a fraction, and what is grouped
# by five and six may be a range, unless a blank parts it.
_NUMBER: Final = (
    rf"{_COUNTRY}(?P<bracket>[(])?"
    r"1(?:3[0-9]|4[579]|5[0-35-9]|6[2567]|7[0-8]|8[0-9]|9[0-35-9])"
    r"(?(bracket)[)] ?)"
    rf"(?:[0-9]{{8}}|(?: ?[·/_-] ?| {{1,2}})(?!{_DAY})[0-9]{{8}}"
    rf"|{GAP}?[0-9]{{4}}{GAP}[0-9]{{4}}|{GAP}[0-9]{{3}}{GAP}[0-9]{{5}}"
    rf"|{GAP}[0-9]{{5}}{GAP}[0-9]{{3}}|[0-9]{GAP}[0-9]{{3}}{GAP}[0-9]{{4}}"
    r"|[0-9]{2} {1,2}[0-9]{6}(?! [0-9]))"
)
_MOBILE: Final = re.compile(rf"{BEFORE}{_NUMBER}{AFTER}")
_CURRENCY: Final = (
    r"CNY|CNH|RMB|USD|EUR|JPY|KRW|HKD|MOP|TWD|GBP|AUD|CAD|SGD|CHF|RUB|INR|IDR|MYR|THB|VND|PHP"
    r"|KZT|UAH|PLN|TRY|AED|SAR|BRL|MXN|ZAR|SEK|NOK|DKK|NZD"
)
# A unit that begins another word is none, nor one that is somebody's name.
_UNIT: Final = re.compile(
    rf" ?(?:\((?:{_CURRENCY}|人民币|[万亿]?[元圆])\)|[万亿]?(?:"
    rf"(?:{_CURRENCY}|(?i:yuan|dollars?|euros?))(?![A-Za-z])|[€¥￥$£]|人民币|英镑|卢[布比]|法郎|泰铢"
    r"|越南盾|[美日韩欧港澳加新]?[元圆]|[美日韩港澳新台]币|美金|[万亿]"
    r"|吨|立方|平方|千克|公斤|千瓦|公里|公顷|[米㎡㎥]|m[²³23]|人次|张(?!\w)|[片瓶桶盒枚粒份条套辆度]"
    r"|支(?![付持行])|个(?!人)|次(?![要日数])|股(?![东长])|户(?![主名外口籍])|台(?![湾北州长山])"
    r"|只(?![接能收限是用有可在])|部(?![门长队])|件(?!人)"
    r"|(?:mAh|[kM]Wh|kVA|kW|kg)(?![A-Za-z]))(?!某|先生|女士|小姐|经理|老师|师傅))"
)
# What tells in front that a sum follows, or the number of a document. Not what advertisements offer
# (loans, sureties) with a telephone number right behind it: facts of penalties quote them.
_OTHER_NUMBER: Final = re.compile(
    r"(?:[¥￥$€£第]|资本|资产|资金|货值|案值|价值|产值|估值|[金总税余差款资售业的]额|产[量能]|总投资|人民币"
    r"|(?:罚|罚没|货|税|欠|存|价|赃|案|工程)款|罚金|保证金|押金|租金|滞纳金|违约金|赔偿金|本金"
    r"|收入|所得|利润|支出|损失|成本|费用|负债|欠税|[认实]缴|[欠应补追]缴|出资|标的|造价"
    rf"|(?<![A-Za-z])(?:{_CURRENCY}|(?i:(?:capital|amount|fine|sum|total|value|turnover|debt)(?: of)?))"
    r"|(?:登记|备案|注册|合同|订单|发票|批|单|流水|档案|执照|登记证|许可证|证书)(?:编?号码?|编码)"
    r"|编号|案号|文号|准字|核准号|批次|№|(?<![A-Za-z])N[Oo]\.?)"
    r"(?:\([^()]{0,8}\))?(?:[ :为是共计约达]|人民币){0,6}\Z"
)
# What 号 follows is a document's number only after what begins one.
_THE_NUMBER: Final = re.compile(" ?号")
_OF_A_DOCUMENT: Final = re.compile(r"(?:[字证批准备案编]|[〔\[(【](?:19|20)[0-9]{2}[〕\])】]) ?\Z")
_LONGEST_WORDS: Final = 24
# After one of these words it is a telephone's, however its digits are grouped: but for a date and
# a sum with decimals.
_CALLED: Final = re.compile(
    r"(?:手机|电话|微信|联系方式|tel|phone|mob(?:ile)?|cell|wechat|wx)"
    r"(?P<between> ?(?:no\.?|number)?[ :()=._号码为是-]{0,6})"
    rf"{_COUNTRY}(?![0-9]{{8,10}}\.[0-9]{{1,3}}(?![0-9]))"
    r"(?!19[0-9]{2}[-./][01][0-9][-./][0-3][0-9](?![0-9]))"
    rf"\(?1{GAP}?[3-9](?:\)?{GAP}?[0-9]){{9}}(?![0-9])(?!\.[0-9]{{1,2}}(?![0-9]))",
    re.IGNORECASE,
)
# Between the word and the digits: without it the word may be what so many are counted of.
_NUMBER_COMES: Final = re.compile(r"[号码:=为是n]", re.IGNORECASE)
_SUM_FIELD: Final = re.compile(
    r"(?:^|_)(?:capital|amount|sum|fine|fee|price|value|turnover|revenue|income|profit|assets|debt"
    r"|arrears|tax|total|balance|budget|cost|yuan|fen|cny|rmb|usd)s?\Z"
)


def holds_mobile_number(plain: str, field: str) -> bool:
    """Tell whether a text in plain characters has somebody's mobile number in it.

    ``field`` is the name of the field it stands in: in one of sums, digits alone are a sum.
    """
    if _SUM_FIELD.search(field) and plain.strip().isdecimal():
        return False
    return any(_is_called(plain, match) for match in _CALLED.finditer(plain)) or any(
        _is_mobile(plain, match.start(), match.end()) for match in _MOBILE.finditer(plain)
    )


def _is_called(plain: str, match: re.Match[str]) -> bool:
    counts = _UNIT.match(plain, match.end()) is not None
    return not counts or _NUMBER_COMES.search(match["between"]) is not None


def _is_mobile(plain: str, start: int, end: int) -> bool:
    if _UNIT.match(plain, end):
        return False
    words = plain[max(0, start - _LONGEST_WORDS) : start]
    if _THE_NUMBER.match(plain, end) and _OF_A_DOCUMENT.search(words):
        return False
    return _OTHER_NUMBER.search(words) is None
