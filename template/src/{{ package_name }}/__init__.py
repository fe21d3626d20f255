"""The first line of each module says what is found there; modules import only what stands below them."""
