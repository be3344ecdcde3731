"""How disclosures are proved: the hashes both sides make, and the checks of proofs.

For servers and verifiers alike: it needs protobuf, and cryptography for signatures.
"""
