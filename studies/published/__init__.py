"""What papers and public repositories report of self-distillation on real models, as a pool of the law."""
