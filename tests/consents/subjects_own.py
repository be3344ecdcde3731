"""Keys of a subject, for tests."""

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import JWKRegistry

from consent.subject_keys import SubjectKey
from sdk.signing import SigningKey
from tests.clock import NOW
from tests.consents.receipts import SIGNER, SUBJECT

ALGORITHMS = ("ES256", "EdDSA", "PS256")


class SubjectsOwn:
    """A key pair of a subject, its public half registered."""

    def __init__(self, algorithm: str) -> None:
        private: Any = {
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
            "PS256": lambda: rsa.generate_private_key(65537, 2048),
        }[algorithm]()
        self.algorithm = algorithm
        self.pem: bytes = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.key = SigningKey.read(self.pem)
        public = JWKRegistry.import_key(self.key.public)
        self.registered = SubjectKey(
            subject=SUBJECT,
            thumbprint=public.thumbprint(),
            jwk=json.dumps(public.as_dict(private=False)),
            registered_by=SIGNER,
            registered_at=NOW,
        )

    @property
    def private_jwk(self) -> dict[str, Any]:
        """The private key as a JWK."""
        return dict(JWKRegistry.import_key(self.pem, self.key.public["kty"]).as_dict(private=True))
