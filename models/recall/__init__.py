"""Tasks with known answers, and small models of all four architectures, equal in active size and training budget."""
