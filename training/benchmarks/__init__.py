"""Training measured: our loss beside transformers' own, its parts left out one by one, the memory it takes."""
