"""What the set-ups ask of a model. Runs in their environments, not in that of the tests."""
