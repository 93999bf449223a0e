"""What the networks learn: random batches, loss and validation of each kind of task."""
