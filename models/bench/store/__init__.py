"""Where runs are kept, and the files they come and go in."""
