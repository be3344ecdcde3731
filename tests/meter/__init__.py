"""The usage ledger: exact (G5), at the instant of serving (G9), durable (G12), on both stores."""
