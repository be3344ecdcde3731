"""Tests of counts, metrics and traces, on OpenTelemetry's own in-memory exporters."""
