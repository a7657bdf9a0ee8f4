"""Batches: from an input file through their states to output and error files."""
