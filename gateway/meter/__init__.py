"""Metering: usage entries durable before the answer, quotas, and the refusals log.

May import storage, consent, the disclosure's tables and settle's reading model.
Promises exact metering (G5), no answer without its live consent (G3), the instant of
serving for G9, durability (G12).
"""
