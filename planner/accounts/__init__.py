"""Who may do what: one table of roles and actions, the audit log, sign-in from elsewhere.

An app of its own to Django (`accounts`), so that its tables change apart from the catalog's.
"""
