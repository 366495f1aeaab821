"""Addresses of the inventory pages and of its interface for programs."""

from django.urls import URLPattern, URLResolver, path

from inventory import api, views

app_name = "inventory"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.fleet, name="fleet"),
    path("fleet.csv", views.fleet_csv, name="fleet_csv"),
    path("fleet.json", views.fleet_json, name="fleet_json"),
    path("then", views.then, name="then"),
    path("events", views.events, name="events"),
    path("run", views.run, name="run"),
    path("hosts/<str:name>", views.host, name="host"),
    path("hosts/<str:name>/snapshot.json", views.host_json, name="host_json"),
    path("hosts/<str:name>/trainable", views.host_trainable, name="host_trainable"),
    path("gpus/<str:uuid>", views.gpu, name="gpu"),
    path("gpus/<str:uuid>/samples.csv", views.gpu_csv, name="gpu_csv"),
    path("api/v1/snapshots", api.snapshots, name="snapshots"),
]
