"""Webhooks: registered, signed, delivered, tried again."""
