"""The published vectors are those of this code, and say what this verifier says."""

import json
from base64 import b64decode
from typing import Any

import pytest

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.verify import verify_answer
from tests.transparency.published import FOLDER, files, verdict

_ANSWERS: dict[str, Any] = json.loads((FOLDER / "answers.json").read_text(encoding="utf-8"))


def test_published_vectors_are_those_of_this_code() -> None:
    for path, text in files().items():
        assert path.read_text(encoding="utf-8") == text, "python -m tests.transparency.published"


@pytest.mark.parametrize("vector", _ANSWERS["answers"], ids=lambda vector: vector["name"])
def test_published_answer_is_judged_as_it_says(vector: dict[str, Any]) -> None:
    key = VerifierKey.parse(_ANSWERS["key"])
    request, parts = b64decode(vector["request"]), [b64decode(each) for each in vector["parts"]]
    if vector["verifies"]:
        assert vector.items() >= verdict(verify_answer(request, parts, key)).items()
    else:
        with pytest.raises(ProofInvalid) as refused:
            verify_answer(request, parts, key)
        assert str(refused.value) == vector["reason"]
