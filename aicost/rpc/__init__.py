"""The transports of the procedures: they translate, and never decide."""
