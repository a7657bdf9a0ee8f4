"""Credentials of container registries."""
