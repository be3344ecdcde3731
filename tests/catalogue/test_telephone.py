"""Mobile numbers are told from sums, quantities and numbers of documents, from both sides (G8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.personal import holds_personal_data, suspicious

NUMBERS = st.builds(
    "{}{}".format,
    st.sampled_from(["138", "159", "166", "177", "186", "199"]),
    st.text("0123456789", min_size=8, max_size=8),
)


def found(text: str, field: str = "") -> bool:
    """Tell whether both passes find personal data."""
    return suspicious(text) and holds_personal_data(text, "", field)


@pytest.mark.parametrize(
    "text",
    [
        # In groups, as people write them.
        "联系人李四 138-12345678",
        "联系人李四 138 12345678",
        "联系人李四138—12345678",
        "李四138/12345678",
        "李四 138·12345678",
        "李四 138  12345678",
        "李四 138 123 45678",
        "李四 138-123-45678",
        "李四 138 12345 678",
        "李四 1381 234 5678",
        "李四 1381234 5678",
        "李四 13812 345678",
        "李四 138 1234 5678",
        "李四 +86 138 12345678",
        "李四 （138）12345678",
        "138 12345678；139 12345678",
        "138-20241345",
        # What stands behind is no unit.
        "李四：13812345678号",
        "联系人13812345678号",
        "李四13812345678号手机",
        "李四(13812345678)",
        "13812345678支付宝同号",
        "13812345678张三",
        "13812345678个人号码",
        "13812345678次要联系人",
        "13812345678元先生",
        "13812345678万某",
        "13812345678股东",
        "13812345678（股东）",
        "13812345678（部长）",
        "13812345678（万科）",
        "13812345678（元总）",
        "13812345678（微信同号）",
        # What stands in front is no sum's and no document's.
        "出资人13812345678",
        "收入证明联系13812345678",
        "欠税人李四13812345678",
        "发票联系人：13812345678",
        "合同签订人13812345678",
        "登记人13812345678",
        "喷涂“代开发票13812345678”",
        "张贴“办证13812345678”小广告",
        "散发“贷款13812345678”卡片",
        "发布“担保 13812345678”信息",
        "注册资本及联系人13812345678",
        "罚款由李四（13812345678）缴纳",
        "支付宝账号13812345678",
        # After a word for a telephone a unit does not help.
        "手机号 13812345678 元",
        "手机号13812345678件",
        "手机号码：13812345678万",
        "手机：13812345678部",
        "电话为13812345678台",
        "微信号13812345678套",
        "Tel No. 13812345678",
        "mobile number 138-123-45678",
        "手机No.13812345678",
        "第一被处罚人手机号13812345678号",
    ],
)
def test_a_mobile_number_is_found(text: str) -> None:
    assert found(text)


@pytest.mark.parametrize(
    "text",
    [
        # Sums by the currency behind.
        "15012345678 CNY",
        "15012345678 yuan",
        "15012345678 人民币",
        "15012345678（人民币）",
        "15012345678(元)",
        "15012345678（万元）",
        "15012345678 （USD）",
        "罚款 15012345678 CNY",
        "没收违法所得 15012345678 USD",
        "合同标的 15012345678 RMB",
        "a fine of 15012345678 yuan",
        "15012345678 KZT",
        "15012345678美金",
        "15012345678港币",
        "15012345678韩币",
        "15012345678泰铢",
        "15012345678越南盾",
        "15012345678€",
        "15012345678元整",
        # Sums by the word in front.
        "没收违法所得15012345678",
        "罚款15012345678",
        "并处罚款：15012345678",
        "罚没款15012345678",
        "欠缴税款15012345678",
        "欠税15012345678",
        "认缴15012345678",
        "实缴15012345678",
        "出资15012345678",
        "营业收入15012345678",
        "净利润 15012345678",
        "标的额15012345678",
        "贷款余额15012345678",
        "担保金额15012345678",
        "总投资15012345678",
        "违法所得共计15012345678",
        "人民币15012345678",
        "RMB15012345678",
        "capital 15012345678",
        "amount: 15012345678",
        "INR 15012345678",
        "¥ 15012345678",
        # Quantities.
        "建筑面积15012345678㎡",
        "原油15012345678桶",
        "药品15012345678片",
        "口罩15012345678个",
        "卷烟15012345678支",
        "卷烟15012345678条",
        "客运量15012345678人次",
        "天然气15012345678立方米",
        "用电15012345678度",
        "布料15012345678米",
        "走私手机15012345678部",
        "手机 15012345678 只",
        # Numbers of documents.
        "发票号码13812345678",
        "发票号码：13812345678",
        "发票号13812345678",
        "合同号13812345678",
        "合同编号：13812345678",
        "订单号13812345678",
        "批号13812345678",
        "批次13812345678",
        "档案号13812345678",
        "登记证号13812345678",
        "登记编码13812345678",
        "执照号13812345678",
        "No.13812345678",
        "No: 13812345678",
        "第13812345678号",
        "第 13812345678 号",
        "罚字〔2024〕13812345678号",
        "罚字[2024]13812345678号",
        "（2024）13812345678号",
        "食药监字13812345678号",
        "卫消证13812345678号",
        # Digits that only happen to be eleven together.
        "135-20200101",
        "138 20240131",
        "131.12345678",
        "处15000-200000元罚款",
        "处15000-200000的罚款",
        "服务器139.196.10.110",
        "服务器139.196.101.10",
        "邮编150001 12345",
        "分别为13000 150000 16000",
        "型号1500-2000-3000",
    ],
)
def test_what_is_no_mobile_number_is_let_through(text: str) -> None:
    assert not found(text)


@pytest.mark.parametrize("grouping", [(3, 8), (7, 4), (3, 4, 4), (3, 3, 5), (4, 3, 4), (5, 6)])
@given(NUMBERS)
def test_any_number_is_found_in_the_groups_of_a_telephone(
    grouping: tuple[int, ...], number: str
) -> None:
    groups: list[str] = []
    for count in grouping:
        groups.append(number[:count])
        number = number[count:]
    assert found(f"李四，手机：{'-'.join(groups)}。")
    if not groups[-1].startswith(("19", "20")):
        assert found(f"李四 {' '.join(groups)}。")


@pytest.mark.parametrize(
    "field", ["registered_capital", "fine_amount", "amount", "paid_in_yuan", "total_assets"]
)
def test_digits_alone_in_a_field_of_sums_are_a_sum(field: str) -> None:
    assert not found("13812345678", field)
    assert found("李四13812345678", field)
    assert found("11010519491231002X", field)


@pytest.mark.parametrize(
    "field", ["", "facts", "registered_phone", "fine_payer", "capitalised", "contact"]
)
def test_digits_alone_in_any_other_field_are_a_mobile_number(field: str) -> None:
    assert found("13812345678", field)
