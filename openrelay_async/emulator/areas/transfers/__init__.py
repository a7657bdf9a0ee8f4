"""Handing a VM or cluster over to another organization."""
