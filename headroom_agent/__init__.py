"""A small program for GPU hosts: probes the host and posts signed snapshots to a Headroom server.

Standard library only, beside the gateway to the driver (`inventory.driver.probing`, with nvidia-ml-py);
no Django, no Celery, no database. Run it with ``python -m headroom_agent --help``.
"""
