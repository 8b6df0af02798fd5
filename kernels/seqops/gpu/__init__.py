"""The sequence operators in Triton, forward and backward; importing a module of this package imports triton."""
