"""People in the admin: roles by group, no rights past the table; the audit log to read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest

from planner.accounts.models import AuditEntry
from planner.accounts.policy import Action
from planner.accounts.rights import may

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class PersonAdmin(UserAdmin[User]):
    """Users and their groups.  Single permissions are not given: the table would not know of them."""

    list_display = ("username", "email", "roles", "is_active", "is_superuser", "last_login")
    filter_horizontal = ("groups",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Rights", {"fields": ("is_active", "groups", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """With the groups, which the list shows."""
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="roles")
    def roles(self, person: User) -> str:
        """The names of the groups."""
        return "superuser" if person.is_superuser else ", ".join(group.name for group in person.groups.all())

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Nobody makes a superuser but a superuser."""
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, "is_superuser")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever manages people, and of superusers superusers alone."""
        above = obj is not None and obj.is_superuser and not request.user.is_superuser
        return may(request.user, Action.MANAGE_USERS) and not above

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As for changes."""
        return self.has_change_permission(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever manages people."""
        return may(request.user, Action.MANAGE_USERS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever manages people."""
        return may(request.user, Action.MANAGE_USERS)


class Unchangeable(admin.ModelAdmin[Any]):
    """Rows to read."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may add rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may change rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may delete rows."""
        return False


@admin.register(Group)
class RoleAdmin(Unchangeable, GroupAdmin):
    """Groups: those of roles are written from the table, which is changed in code and nowhere else."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever manages people."""
        return may(request.user, Action.MANAGE_USERS)


@admin.register(AuditEntry)
class AuditAdmin(Unchangeable):
    """Who did what, and from where."""

    list_display = ("at", "kind", "name", "address", "what", "status")
    list_filter = ("kind",)
    search_fields = ("name", "address", "what")
    date_hierarchy = "at"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever reads the log."""
        return may(request.user, Action.READ_AUDIT)
