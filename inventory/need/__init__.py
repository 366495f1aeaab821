"""Plans on owned hosts. The only package where fleet and planning meet."""
