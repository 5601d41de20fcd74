"""Networks and their checkpoints: tensors only."""
