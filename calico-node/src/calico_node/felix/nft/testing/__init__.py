"""For tests of what stands on ``felix.nft``: every form of a rule (``forms``)."""
