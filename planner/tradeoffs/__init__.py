"""Trade-offs: searches over the market and the design space, in the background, with progress and a stop."""
