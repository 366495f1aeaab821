"""Admin pages of the catalog: is this fact right, who says so, since when?"""

from django.contrib import admin

from planner.admin import machines, transformer_models

admin.site.site_header = admin.site.site_title = "Headroom"
admin.site.index_title = "Catalog, fleet and people"

__all__ = ["machines", "transformer_models"]
