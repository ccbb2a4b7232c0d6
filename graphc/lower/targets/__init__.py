"""The targets that graphs are lowered to."""
