"""Record what the project states of a GPU: its tests, its kernels and the standard runs, in stages that can go on."""
