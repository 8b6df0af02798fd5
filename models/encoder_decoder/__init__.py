"""A small encoder-decoder of the layout of 2017, its tasks, its training, and one run of it as a record."""
