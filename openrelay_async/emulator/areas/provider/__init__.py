"""Renting out machines of one's own: application, tokens, nodes, earnings."""
