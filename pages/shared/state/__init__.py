"""The visitor's choices: language, session, address."""
