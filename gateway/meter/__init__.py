"""Metering: usage entries durable before the answer, quotas, and the refusals log.

May import storage, the disclosure's tables and settle's reading model.
Promises exact metering (G5), the instant of serving for G9, durability (G12).
"""
