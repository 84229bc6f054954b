"""Examples of what is programmed, for golden files and for the kernel."""
