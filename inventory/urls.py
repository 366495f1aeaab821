"""Addresses of the inventory pages and of its interface for programs."""

from django.urls import URLPattern, URLResolver, path

from inventory.need import page
from inventory.pages import deliveries, events, fleet, machine

app_name = "inventory"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", fleet.fleet, name="fleet"),
    path("fleet.csv", fleet.fleet_csv, name="fleet_csv"),
    path("fleet.json", fleet.fleet_json, name="fleet_json"),
    path("then", fleet.then, name="then"),
    path("events", events.events, name="events"),
    path("run", page.need, name="need"),
    path("tradeoffs", page.own_tradeoffs, name="own_tradeoffs"),
    path("mig", page.partitions, name="partitions"),
    path("hosts/<str:name>", machine.host, name="host"),
    path("hosts/<str:name>/snapshot.json", machine.host_json, name="host_json"),
    path("hosts/<str:name>/trainable", page.host_trainable, name="host_trainable"),
    path("gpus/<str:uuid>", machine.gpu, name="gpu"),
    path("gpus/<str:uuid>/samples.csv", machine.gpu_csv, name="gpu_csv"),
    path("api/v1/snapshots", deliveries.snapshots, name="snapshots"),
]
