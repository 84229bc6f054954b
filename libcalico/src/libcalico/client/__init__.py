"""Part of libcalico."""
