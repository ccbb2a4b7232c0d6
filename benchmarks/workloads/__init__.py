"""The workloads, a file for each family: models in each contestant's words, then ``WORKLOADS``."""
