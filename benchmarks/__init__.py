"""Benchmarks: what the gateway costs beside a bare server and a conventional stack.

``python -m benchmarks --help`` (or ``make bench``) tells how to run them. Every ratio is
taken in one run: its two sides take turns on the same machine.
"""
