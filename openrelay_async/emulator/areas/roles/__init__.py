"""Roles of an organization, policies over all of them, and who may do what because of both."""
