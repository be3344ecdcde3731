"""The contract: messages and services (``creditgate.v1``, generated), and the small
pure rules that every side of it shares: refusals, scopes, credit codes.

Imports nothing of gateway, operators, consent or sdk.
"""
