"""The RWKV page."""
