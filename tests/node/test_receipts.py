"""Receipts cross to Node and back: read there, signed there, what was signed here read there."""

import json
from pathlib import Path

import pytest

from gateway.oauth.signing import SIGNING_ALGORITHMS, SigningAlgorithm
from sdk.receipts import countersigned
from tests.consents.receipts import ISSUER, SUBJECT, Signing, granted
from tests.consents.subjects_own import ALGORITHMS, SubjectsOwn
from tests.node.conftest import NodeClient


@pytest.mark.parametrize(
    ("algorithm", "own_algorithm"),
    [*zip((*SIGNING_ALGORITHMS, SIGNING_ALGORITHMS[0]), ALGORITHMS, strict=True)],
)
def test_jose_reads_receipts_and_signs_them_as_subjects_do(
    tmp_path: Path, node_client: NodeClient, algorithm: SigningAlgorithm, own_algorithm: str
) -> None:
    signing, own = Signing(tmp_path / "keys"), SubjectsOwn(own_algorithm)
    kid = signing.add(algorithm)
    receipt = signing.receipts.signed(granted())
    case = {
        "receipt": receipt,
        "keys": signing.published,
        "issuer": ISSUER,
        "subject": {
            "algorithm": own_algorithm,
            "kid": own.registered.thumbprint,
            "private": own.private_jwk,
            "public": own.key.public,
            "signature": countersigned(receipt, own.key),
        },
    }
    file = tmp_path / "case.json"
    file.write_text(json.dumps(case))
    done = node_client("receipt.mjs", file)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["kid"], told["claims"]["subject"]) == (kid, SUBJECT)
    assert told["signed"] == receipt
    signing.receipts.require_signature(receipt, told["signature"], [own.registered])
