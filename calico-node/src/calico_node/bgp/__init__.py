"""The BGP agent: datastore resources → BirdConfig → bird.conf → BIRD 2, checked at every step."""
