"""Request ids that the SDK makes."""

import uuid

from sdk.request_ids import new_request_id


def test_a_request_id_is_a_uuid_of_version_7_with_the_time_in_front() -> None:
    made = uuid.UUID(new_request_id())

    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    # The layout of RFC 9562, section 5.7; no clock of a test is set to before 2020 or after 2100.
    assert 1_577_836_800_000 < made.int >> 80 < 4_102_444_800_000


def test_later_request_ids_sort_behind_and_none_comes_twice() -> None:
    made = [new_request_id() for _ in range(20_000)]

    assert [each[:13] for each in made] == sorted(each[:13] for each in made)
    assert len(set(made)) == len(made)


def test_every_bit_that_is_not_time_version_or_variant_is_random() -> None:
    made = [uuid.UUID(new_request_id()).int for _ in range(200)]
    ones, zeros = 0, 0
    for each in made:
        ones |= each
        zeros |= ~each
    random = ((1 << 12) - 1) << 64 | ((1 << 62) - 1)

    assert ones & random == random
    assert zeros & random == random
