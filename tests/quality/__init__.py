"""The project keeps its own rules: style, types, imports, locks, links, packaging, setup.

Reads the project's files and runs its tools; imports nothing of the system itself.
"""
