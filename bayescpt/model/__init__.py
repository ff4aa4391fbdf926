"""The hierarchical model: law, hierarchy and noise as one NumPyro program."""

import numpyro

# ArviZ puts a lazy module in the place of NumPyro where it is imported first. An import of a part of that loads it
# twice, and the second copy lacks attributes that NumPyro itself looks up. Any attribute makes the lazy module real.
assert numpyro.__version__
