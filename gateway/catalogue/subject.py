"""What kind of subject a unified social credit code stands for.

Source: GB 32100-2015, table 1: the first character is the registration authority, the
second the class of organisation under it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from creditgate.v1.vocabulary_pb2 import SubjectType

_OTHER: Final = SubjectType.SUBJECT_TYPE_OTHER_ORGANISATION
# 92, individual businesses (个体工商户), and 93, farmers' co-operatives (农民专业合作社), are
# registered beside enterprises but are none (Civil Code, articles 54 and 96): an item has
# to open itself to them by OTHER_ORGANISATION. So are 13, mass organisations.
_KINDS: Final[Mapping[str, SubjectType.ValueType]] = MappingProxyType(
    {
        "11": SubjectType.SUBJECT_TYPE_GOVERNMENT_BODY,
        "12": SubjectType.SUBJECT_TYPE_PUBLIC_INSTITUTION,
        "51": SubjectType.SUBJECT_TYPE_SOCIAL_ORGANISATION,
        "52": SubjectType.SUBJECT_TYPE_SOCIAL_ORGANISATION,
        "53": SubjectType.SUBJECT_TYPE_SOCIAL_ORGANISATION,
        "91": SubjectType.SUBJECT_TYPE_ENTERPRISE,
    }
)


def subject_type(code: str) -> SubjectType.ValueType:
    """Return the kind of subject ``code``, a valid code, stands for."""
    return _KINDS.get(code[:2], _OTHER)
