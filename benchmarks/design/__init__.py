"""What choosing runs saves: designs replayed on tables of runs that are already trained."""
