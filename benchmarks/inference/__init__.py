"""Speed of inference, measured against a user's and an expert's PyMC with nutpie."""
