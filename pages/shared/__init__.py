"""Parts that every page uses: words, session, caches, controls, the figure card, the page layout."""
