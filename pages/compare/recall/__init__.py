"""The parts of the recall page: what is recorded, what is measured now, one question opened, what was expected."""
