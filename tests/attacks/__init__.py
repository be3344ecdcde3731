"""Attacks on the authorisation server and on the calls its tokens open.

Each is named after an attacker of the FAPI 2.0 Attacker Model, section 6: A1 (web
attacker), A1a (who also runs an authorisation server), A2 (network), A3a (reads
authorisation requests), A5 (reads and changes token requests), A7 (reads resource
requests); and after the section of RFC 9700 that counters it.
"""
