"""What an installation holds and answers, and how many machines a country takes: calculated.

Inputs are measured (`benchmarks/latest.json`) where there is a figure, and said to be assumed where
there is none. ``python -m benchmarks capacity`` prints the tables of docs/scale.md.
"""
