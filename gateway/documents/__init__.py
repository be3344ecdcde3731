"""Statements as documents: signed JSON, CSV, Parquet and PDF, and the uses they come from.

May import settlement, settle, printing, meter, disclose, storage, authenticate, operators, the
clock and the contract. Promises that every form tells the same amounts, that both sides of each
sum to the micro-yuan (G6), and that what closed months give is the same to the byte, always.
"""
