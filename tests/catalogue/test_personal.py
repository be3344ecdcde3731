"""Private personal data is recognised, and what only looks like it is let through (G8)."""

from datetime import date
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.uscc import ALPHABET, check_character, is_valid
from gateway.catalogue.personal import holds_personal_data, suspicious

# Without the words that make a number that of a document or a sum.
HAN = st.text(
    st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF, exclude_characters="第号币元万亿"),
    max_size=8,
)
DIGITS = "0123456789"


def digits(count: int) -> st.SearchStrategy[str]:
    """Draw that many digits."""
    return st.text(DIGITS, min_size=count, max_size=count)


def found(text: str, subject: str = "") -> bool:
    """Tell whether both passes find personal data."""
    return suspicious(text) and holds_personal_data(text, subject)


@st.composite
def identity_numbers(draw: st.DrawFn) -> str:
    """Draw a well-formed number after GB 11643, with the weights written out."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    day = draw(st.dates(min_value=date(1900, 1, 1), max_value=date(2099, 12, 31)))
    division = draw(st.sampled_from("12345678")) + draw(digits(5))
    stem = division + day.strftime("%Y%m%d") + draw(digits(3))
    total = sum(int(digit) * weight for digit, weight in zip(stem, weights, strict=True))
    check = "10X98765432"[total % 11]
    return stem + draw(st.sampled_from([check, check.lower()]))


def luhn(stem: str) -> str:
    """Return ``stem`` with its check digit."""
    total = 0
    for index, digit in enumerate(reversed(stem)):
        value = int(digit) * (2 if index % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return stem + str(-total % 10)


# A card of 18 digits that is a well-formed credit code too is taken for the code.
CARDS = (
    st.integers(13, 16)
    .flatmap(digits)
    .map(lambda tail: luhn("62" + tail))
    .filter(lambda card: not is_valid(card))
)
MOBILES = st.builds(
    "{}{}".format, st.sampled_from(["138", "159", "166", "177", "186", "199"]), digits(8)
)
EMAILS = st.builds(
    "{}@{}.{}".format,
    st.text("abcXYZ019._%+-", min_size=1, max_size=20),
    st.text("abc-019", min_size=1, max_size=20),
    st.sampled_from(["com", "cn", "gov.cn"]),
)


@given(identity_numbers() | CARDS | MOBILES | EMAILS, HAN, HAN)
def test_private_numbers_and_addresses_are_found_inside_text(
    private: str, before: str, after: str
) -> None:
    text = f"{before}：{private}，{after}"
    assert found(text)
    assert found(f"{before}{private}。")


@pytest.mark.parametrize(
    "text",
    [
        "电话:138-0013-8000",
        "+86 13800138000",
        "8613800138000",
        "１３８００１３８０００",
        "某人/13800138000/13900139000",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111111111111111",
        "5105105105105100",
        "2223003122003222",
        "3530111333300000",
        "6011111111111117",
        "name＠example.com",
        "name﹫example.com",
        "138.0013.8000",
        "138 - 0013 - 8000",
        "tel13800138000",
        "Tel.13800138000",
        "phone-13800138000",
        "手机13800138000号",
        "手机号码为：13800138000号",
        "13800138000,13900139000",
        "①13800138000",
        "١٣٨٠٠١٣٨٠٠٠",
        "110105 19491231 002X",
        "110105-19491231-002X",
        "110105.19491231.002X",
        "110105/19491231/002X",
        "110 105 1949 1231 002X",
        "1101051949 1231002X",
        "身份证110105491231002",
        "手机号138 00138000",
        "电话：138-001-38000",
        "电话1 3 8 0 0 1 3 8 0 0 0",
        "(138)00138000",
        "+86（138）0013-8000",
        "138·0013·8000",
        "138_0013_8000",
        "user@例子.cn",
        "user@example.中国",
        "13800138000户主",
        "13800138000只接短信",
        "13800138000部门",
        "联系人注册资本部：13800138000",
        "货值不详，13800138000",
        "电话：199-0101-2345",
        "手机：1990 0101 234",
        "手机号（本人）：13800138000",
        "微信号：138-001-38000",
        "手机=13800138000号",
        "11010519491231002×",
        "ID11010519491231002X",
        "ID-11010519491231002X",
        "11010519491231002X-1",
        "11010519491231002X,某人",
        "11010519491231002Xabc",
        "11010519491231002X,110105194912310021",
        "4111.1111.1111.1111",
    ],
)
def test_private_data_in_any_usual_spelling_is_found(text: str) -> None:
    assert found(text)


PRIVATE = ["11010519491231002X", "13800138000", "4111111111111111", "name@example.com"]
INVISIBLE = [chr(code) for code in (0x200B, 0x200D, 0xAD, 0x2060, 0xFEFF, 0x3164, 0xFE0F, 0x202E)]
# Groups, each with what may part them.
GROUPS = ["110105{0}19491231{0}002X", "138{0}0013{0}8000", "4111{0}1111{0}1111{0}1111"]
BLANKS = [chr(code) for code in (0xA0, 0x2002, 0x2009, 0x202F, 0x3000)]
DASHES = [chr(code) for code in (0x2010, 0x2011, 0x2013, 0x2014, 0x2212, 0xFE63, 0xFF0D)]


@pytest.mark.parametrize("private", PRIVATE)
@given(st.sampled_from(INVISIBLE), st.integers(1, 10))
def test_what_nobody_sees_hides_no_private_data(private: str, hidden: str, at: int) -> None:
    assert found(f"某人：{private[:at]}{hidden}{private[at:]}")
    assert found(hidden.join(private))


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("gap", BLANKS + DASHES)
def test_blanks_and_dashes_of_all_kinds_part_groups(groups: str, gap: str) -> None:
    assert found(f"某人{groups.format(gap)}。")


@given(digits(6), st.text(ALPHABET, min_size=9, max_size=9), st.sampled_from(["91", "92", "93"]))
def test_codes_of_market_entities_are_no_personal_data(district: str, body: str, head: str) -> None:
    stem = head + district + body
    code = stem + check_character(stem)
    assert not found(f"统一社会信用代码：{code}。")
    assert not found(code)


def test_own_code_of_the_subject_is_no_personal_data() -> None:
    stems = [f"51010119900307{number:03d}" for number in range(1_000)]
    codes = [stem + check_character(stem) for stem in stems]
    alike = [code for code in codes if found(code)]
    assert alike
    assert not any(found(f"主体{code}", subject=code) for code in alike)


def test_credit_codes_of_digits_are_no_bank_cards() -> None:
    stems = [f"62000000{number:09d}" for number in range(3_000)]
    codes = [stem + check_character(stem) for stem in stems]
    alike = [code for code in codes if code.isdigit() and luhn(code[:17]) == code]
    assert alike
    assert not any(map(found, alike))


@given(st.dates(), st.dates())
def test_dates_are_no_personal_data(first: object, second: object) -> None:
    assert not found(f"{first}至{second}")
    assert not found(f"{first} {second}")
    assert not found(f"{first}".replace("-", ""))


@given(st.integers(0, 10**15), st.sampled_from(["元", "万元", "亿元人民币", " 元"]), digits(2))
def test_amounts_are_no_personal_data(amount: int, unit: str, cents: str) -> None:
    assert not found(f"罚款{amount}{unit}")
    assert not found(f"罚款{amount}.{cents}{unit}")
    assert not found(f"{amount:,}{unit}")
    assert not found(f"¥{amount}.{cents}")


@given(st.integers(1990, 2099), st.integers(1, 10**19 - 1), HAN)
def test_numbers_of_documents_are_no_personal_data(year: int, number: int, body: str) -> None:
    assert not found(f"{body}罚字〔{year}〕{number}号")
    assert not found(f"（{year}）京01民终{number % 10**6}号")
    assert not found(f"第{number % 10**11}号")
    assert not found(f"XK-{year}-{number % 10**11}")
    assert not found(f"SN{number % 10**17}")
    assert not found(f"〔{year}〕{number % 10**11}号")


@pytest.mark.parametrize(
    "text",
    [
        "13812345678.50",
        "年产13800138000吨",
        "建筑面积15012345678平方米",
        "110105491231002",
        "A13800138000",
        "138001380001",
        "12345678901",
        "4403052025000128",
        "99999999999999999999",
        "110101199002304514",
        "110101199003074515",
        "6222020200112230023",
        "13812345678元",
        "13812345678 元",
        "13812345678万元",
        "13812345678美元",
        "13812345678万",
        "人民币13812345678",
        "第13812345678号",
        "电话记录第13812345678号",
        "131.12345678",
        "135-20200101",
        "110105 19491331 002X",
        "110105-19491231-0021",
        "ID110105194912310021",
        "1,381,234,567",
        "@example.com",
        "name@",
        "某@某",
        "走私手机货值150000000.00元",
        "走私手机案值13500000.500元",
        "销售假冒手机150000000.00元",
        "手机13800138000.50元",
        "电话诈骗涉案金额15000000000元",
        "手机壳18000000000只",
        "手机 18000000000 只",
        "移动电话用户13800138000户",
        "手机配件18000000.000千克",
        "手机电池产能：18000000000mAh",
        "15012345678 kWh",
        "手机（型号 1500-2000-3000）",
        "固定电话 1999-01-01 123",
        "注册资本（元）：13800138000",
        "注册资本为人民币 13800138000",
        "USD 13800138000",
        "13800138000韩元",
        "人民币 13800138000 圆",
        "登记号：15012345678",
        "备案号 13812345678",
        "许可证编号13512345678",
        "13800138000台",
        "13800138000部",
    ],
)
def test_what_only_looks_private_is_let_through(text: str) -> None:
    assert not found(text)


@pytest.mark.parametrize(
    "text", ["a" * 65_000 + "@", "a@" * 32_000, "1" * 65_000, "1 " * 32_000, "@a." * 21_000]
)
def test_no_text_makes_the_search_slow(text: str) -> None:
    started = perf_counter()
    found(text)
    assert perf_counter() - started < 1


@pytest.mark.parametrize(
    "text", ["李四@163.com", "邮箱：李四@mail.example.cn", "张三@例.李四@qq.com"]
)
def test_an_address_may_begin_with_han_characters(text: str) -> None:
    assert found(text)


@pytest.mark.parametrize("text", ["转发@江苏.公安", "钢材@3.5kg", "请@李四.", "关注@example"])
def test_whoever_is_mentioned_by_an_at_sign_has_no_address(text: str) -> None:
    assert not found(text)
