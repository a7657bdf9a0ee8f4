"""Pools of runners for GitHub Actions."""
