"""How near maps come to the truth: phantoms, doses and methods, and the bars that fusionkit is held to."""
