"""Telemetry: counts and traces of calls, exported by OpenTelemetry when configured.

May import creditgate, the standard library and OpenTelemetry; nothing else of gateway.
Promises that it says nothing unless asked, holds no subject data, and costs a call
about a microsecond when nothing is exported.
"""
