"""graphc: declare a graph of tensor operations, differentiate it, draw it, and compile it to NumPy or JAX."""

__version__ = "0.1.0"
