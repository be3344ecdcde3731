"""Alerts of unusual use (异常使用): rules, who follows the ledger by them, and what was raised.

They look at what was charged, after the fact: the ledger never waits for them.
"""
