"""The published vectors of use are what the verifier says."""

from tests.usage.published import FILE, text


def test_published_vectors_are_those_of_the_verifier() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "run python -m tests.usage.published"
