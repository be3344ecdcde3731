"""Settlement: prices, sharing rules, usage listings, statements and their postings.

May import creditgate, operators, the clock and the caller; usage reaches it by a port.
Promises that shares sum to fees to the micro-yuan and that every posting balances (G6).
"""
