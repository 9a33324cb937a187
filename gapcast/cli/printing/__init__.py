"""The texts that commands print for people: one module a resource."""
