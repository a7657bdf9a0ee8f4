"""Resources with more than their generated methods: each is a subclass of the generated class of its name."""
