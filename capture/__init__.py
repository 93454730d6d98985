"""Plan, take, check and keep frames."""
