"""The project's addresses as they are where an identity provider is named."""

from django.urls import include, path

from config.urls import handler404, handler500
from config.urls import urlpatterns as usual

__all__ = ["handler404", "handler500", "urlpatterns"]
urlpatterns = [path("account/oidc/", include("mozilla_django_oidc.urls")), *usual]
