"""Snapshots of disks, and VMs forked from them."""
