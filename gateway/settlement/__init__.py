"""Settlement of months: closings, adjustments, credit notes, and the journal of postings.

May import settle, meter, disclose, storage, authenticate, the clock, operators and the contract.
Promises that closing again gives the same bytes, that what comes late is adjusted in the next
closing, that shares sum to what is due to the micro-yuan and every entry balances (G6).
"""
