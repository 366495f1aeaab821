"""Addresses of the catalog's pages, under /catalog/."""

from django.urls import path

from planner.catalog.pages import editing, page

urlpatterns = [
    path("", page.front, name="catalog"),
    path("prices", page.prices, name="catalog_prices"),
    path("prices.csv", page.prices_csv, name="catalog_prices_csv"),
    path("prices/<int:pk>", page.price, name="catalog_price"),
    path("prices/<int:pk>/new", editing.new_price, name="catalog_new_price"),
    path("instances/<str:slug>", page.instance, name="catalog_instance"),
    path("accelerators/<str:slug>", page.accelerator, name="catalog_accelerator"),
    path("models/<str:slug>", page.model, name="catalog_model"),
    path("refresh", editing.refresh, name="catalog_refresh"),
    path("changes", editing.change_sets, name="catalog_changes"),
    path("changes/<int:pk>", editing.change_set, name="catalog_change_set"),
    path("changes/<int:pk>/decide", editing.decide, name="catalog_decide"),
    path("changes/<int:pk>/effect", editing.effect, name="catalog_effect"),
    path("owned", editing.owned, name="catalog_owned"),
    path("owned/keep", editing.keep_owned, name="catalog_keep_owned"),
]
