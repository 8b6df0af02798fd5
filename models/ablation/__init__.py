"""What a model loses with a part switched off: bits over texts, and the worth of every part."""
