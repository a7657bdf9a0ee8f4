"""Resources with more than their generated methods: each is a subclass of the generated class of its name.

The sync package's twins are generated from the sources here: `make generate` after a change.
"""
