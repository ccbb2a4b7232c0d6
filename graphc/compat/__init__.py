"""Other libraries' names over graphc, for programs that were written for them."""
