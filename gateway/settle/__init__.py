"""Settlement: price plans, rating, sharing rules, usage listings, statements, postings.

May import creditgate, operators, the catalogue's model, the clock, the caller and shared
threads; usage reaches it by ports. Rating and sharing are pure. Promises that shares sum to
fees to the micro-yuan and that every posting balances (G6), and never to price anew.
"""
