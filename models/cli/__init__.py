"""The bodies of the commands: each module adds its arguments and runs."""
