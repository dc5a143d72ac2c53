"""Mainstay in its AWS shape on one machine: LocalStack, and the runner that reads its queues. `make local`."""
