"""During a run: the queue, the schedule of rounds, one worker process per cell."""
