"""What the packages' tests share: the backend contract, builders, strategies, the portal."""
