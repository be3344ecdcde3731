"""Reconciling two sets at a cost that grows with their differences: for both sides.

Rateless invertible Bloom lookup tables: L. Yang, Y. Gilad, M. Alizadeh, Practical Rateless
Set Reconciliation, SIGCOMM 2024. Needs numpy. Pure: nothing here reads or writes anything.
"""
