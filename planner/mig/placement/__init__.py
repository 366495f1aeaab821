"""Where GPU instances can stand: enumeration, planning and the steps of a change. No Django, no catalog."""
