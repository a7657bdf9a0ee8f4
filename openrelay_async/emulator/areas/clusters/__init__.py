"""Clusters of 2026-07 and their replicas."""
