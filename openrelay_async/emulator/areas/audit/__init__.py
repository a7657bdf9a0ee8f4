"""Audit events: everything that changes access."""
