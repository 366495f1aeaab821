"""The fleet's pages and exports."""
