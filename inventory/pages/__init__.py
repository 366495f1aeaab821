"""The fleet's pages and exports, in words and figures."""
