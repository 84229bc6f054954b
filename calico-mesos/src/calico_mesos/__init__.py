"""The Mesos network isolator's messages."""
