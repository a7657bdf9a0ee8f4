"""Kubernetes clusters, node pools, nodes."""
