"""What every page uses: words, session, caches, controls, the figure card and the layout of a page."""
