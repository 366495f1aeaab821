"""Which app answers where."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from config import views
from inventory.pages.metrics_page import prometheus

admin.autodiscover()
handler404 = "config.guard.missing.not_found"
handler500 = "config.views.server_error"
urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", prometheus, name="metrics"),
    path("favicon.ico", views.favicon, name="favicon"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("account/", include("planner.accounts.urls")),
    path("admin/", admin.site.urls),
    path("fleet/", include("inventory.urls")),
    path("api/v1/fleet/", include("inventory.pages.programs")),
    path("", include("planner.urls")),
]
