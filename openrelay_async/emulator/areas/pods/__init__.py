"""Pods: containers with the lifecycle of VMs."""
