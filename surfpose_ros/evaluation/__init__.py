"""Metrics, benchmark data sets, tables and reports."""
