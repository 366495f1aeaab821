"""What travels between host and server: snapshots, their JSON and signature, and what readings mean."""
