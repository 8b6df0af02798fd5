"""Where models come from: names, weights, the hub, downloads, the catalogue."""
