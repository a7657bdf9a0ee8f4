"""The areas of the service: a folder each, with its routes, its rules (pure) and its storage."""
