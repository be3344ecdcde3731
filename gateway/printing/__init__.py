"""Printing: fonts, styles and the frame of pages that every PDF of the gateway has.

May import reportlab alone. Promises that the same words make the same bytes, and that no
character is lost.
"""
