"""Have against need: plans on the hosts one has. The one room where fleet and planning meet."""
