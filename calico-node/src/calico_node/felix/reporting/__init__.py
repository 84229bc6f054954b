"""What Felix writes to the datastore: that it lives, and the state of its endpoints."""
