"""What consents speak of, in words people read: states, fields, places."""

from collections.abc import Mapping
from typing import Final

from consent.states import EXHAUSTED, EXPIRED, GRANTED, PAUSED, REFUSED, REQUESTED, REVOKED
from gateway.pages.words import Words

STATES: Final[Mapping[int, Words]] = {
    REQUESTED: ("待授权", "Waiting for your answer"),
    GRANTED: ("已授权", "Consent given"),
    REFUSED: ("已拒绝", "Refused"),
    PAUSED: ("已暂停", "On hold"),
    REVOKED: ("已撤回", "Revoked"),
    EXPIRED: ("已过期", "Expired"),
    EXHAUSTED: ("已用尽", "Used up"),
}

FIELDS: Final[Mapping[str, Words]] = {
    "arrears_fen": ("欠税金额", "tax owed"),
    "as_of": ("截至日期", "date of the figures"),
    "evaluated_on": ("评价日期", "date of the evaluation"),
    "grade": ("评价等级", "grade"),
    "in_arrears": ("是否欠缴", "whether contributions are owed"),
    "insured_persons": ("参保人数", "number of insured persons"),
    "method": ("评价方法", "method of the evaluation"),
    "paid_fen": ("实缴金额", "sum paid"),
    "period_from": ("费款所属期起", "begin of the period paid for"),
    "period_until": ("费款所属期止", "end of the period paid for"),
    "score": ("评价得分", "score"),
    "tax_credit_grade": ("纳税信用级别", "tax credit grade"),
    "tax_year": ("纳税年度", "tax year"),
}
"""Fields of the consent-only items the gateway ships with, for catalogues in force since before
fields had titles of their own."""

PROVINCES: Final[Mapping[str, Words]] = {
    "11": ("北京市", "Beijing"),
    "12": ("天津市", "Tianjin"),
    "13": ("河北省", "Hebei"),
    "14": ("山西省", "Shanxi"),
    "15": ("内蒙古自治区", "Inner Mongolia"),
    "21": ("辽宁省", "Liaoning"),
    "22": ("吉林省", "Jilin"),
    "23": ("黑龙江省", "Heilongjiang"),
    "31": ("上海市", "Shanghai"),
    "32": ("江苏省", "Jiangsu"),
    "33": ("浙江省", "Zhejiang"),
    "34": ("安徽省", "Anhui"),
    "35": ("福建省", "Fujian"),
    "36": ("江西省", "Jiangxi"),
    "37": ("山东省", "Shandong"),
    "41": ("河南省", "Henan"),
    "42": ("湖北省", "Hubei"),
    "43": ("湖南省", "Hunan"),
    "44": ("广东省", "Guangdong"),
    "45": ("广西壮族自治区", "Guangxi"),
    "46": ("海南省", "Hainan"),
    "50": ("重庆市", "Chongqing"),
    "51": ("四川省", "Sichuan"),
    "52": ("贵州省", "Guizhou"),
    "53": ("云南省", "Yunnan"),
    "54": ("西藏自治区", "Xizang"),
    "61": ("陕西省", "Shaanxi"),
    "62": ("甘肃省", "Gansu"),
    "63": ("青海省", "Qinghai"),
    "64": ("宁夏回族自治区", "Ningxia"),
    "65": ("新疆维吾尔自治区", "Xinjiang"),
    "71": ("台湾省", "Taiwan"),
    "81": ("香港特别行政区", "Hong Kong"),
    "82": ("澳门特别行政区", "Macao"),
}
"""The first two digits of division codes (GB/T 2260-2007)."""
