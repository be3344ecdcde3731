"""Conformance (一致性): what operators hold compared with the disclosure, and what is done about it.

May import transparency, disclose, meter, consents, the authority view and operators.
Promises that a copy held after a correction, repair or withdrawal is a finding (G9).
"""
